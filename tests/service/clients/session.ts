// The same session by a client of openapi-fetch, typed by what openapi-typescript made of
// /openapi.json, under tsc --strict: URL in, facts out.
import createClient from "openapi-fetch";
import type { paths } from "./ledger.js";

const url = process.argv[2]!;
const client = createClient<paths>({ baseUrl: url });
const path = { title_number: "TN1234567" };

function got<T>(answer: { data?: T; error?: { slug: string; detail: string } }): T {
  if (answer.data === undefined) throw new Error(answer.error?.detail);
  return answer.data;
}

const made = await client.POST("/titles", {
  body: { title_number: "TN1234567", address: "1 low street" },
});
got(made);
const first = made.response.headers.get("ETag")!;

const change = () =>
  client.POST("/titles/{title_number}", {
    params: {
      path,
      header: {
        "If-Match": first,
        "Idempotency-Key": "APP-1",
        "Ledger-Message": "UTF-8''T%C5%B7%20Newydd",
      },
    },
    body: { address: "2 low street" },
  });
const changed = [await change(), await change()];
const { error: refused } = await client.POST("/titles/{title_number}", {
  params: { path, header: { "If-Match": first } },
  body: {},
});
if (!refused) throw new Error("not refused");

const read = await client.GET("/titles/{title_number}", { params: { path } });
const title = got(read);
const same = await client.GET("/titles/{title_number}", {
  params: { path, header: { "If-None-Match": read.response.headers.get("ETag")! } },
});
const old = got(
  await client.GET("/titles/{title_number}", { params: { path, query: { version: 1 } } }),
);
const { error: missing } = await client.GET("/titles/{title_number}", {
  params: { path: { title_number: "TN404" } },
});
if (!missing) throw new Error("not missing");

const split = got(
  await client.POST("/registrations", {
    body: {
      reference: "APP 7/26",
      parts: ["P1", "P2"].map((name) => ({
        title_number: name,
        document: { area: 50 },
        parent: null,
      })),
    },
  }),
);
const found = got(
  await client.GET("/registrations/{reference}", { params: { path: { reference: "APP 7/26" } } }),
);
const erased = got(
  await client.POST("/titles/{title_number}/erasures", {
    params: { path },
    body: { versions: [1], reference: "ORDER-1", message: "by order" },
  }),
);

const titles = got(await client.GET("/titles", { params: { query: { limit: 2 } } }));
const entries = got(await client.GET("/titles/{title_number}/entries", { params: { path } }));
const differing = got(
  await client.GET("/titles/{title_number}/diff", {
    params: { path, query: { from: "v2", to: "v3" } },
  }),
);
const fields = got(
  await client.GET("/titles/{title_number}/blame", {
    params: { path, query: { path: "/address" } },
  }),
);
const report = got(await client.GET("/titles/{title_number}/verification", { params: { path } }));
const bundle: unknown = got(
  await client.GET("/titles/{title_number}/bundle", { params: { path }, parseAs: "blob" }),
);

console.log(
  JSON.stringify({
    statuses: [made, ...changed, same].map((answer) => answer.response.status),
    refused: [refused.slug, refused.status, refused.version, refused.digest],
    address: title.address,
    sha256: title.sha256,
    old: old.address,
    missing: missing.slug,
    parts: split.entries.map((each) => [each.title_number, each.part]),
    complete: found.complete,
    erased: erased.erased,
    titles: titles.titles.map((each) => each.replace(url, "")),
    entries: entries.entries.map((each) => [
      each.version,
      each.message,
      each.erased !== null,
      each.kind,
    ]),
    changes: differing.changes?.length ?? 0,
    blame: fields.fields.map((each) => [each.path, each.value, each.version]),
    outcome: report.outcome,
    bundle: (bundle as Blob).size,
  }),
);
