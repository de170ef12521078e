// For each line of JSON on standard input, one on standard output: what two packages of npm make of
// it. {"json": T}: the canonical spelling of the JSON text T. {"payload": B, "type": T}: the DSSE
// encoding of the bytes B. Bytes are in base64.
"use strict";
const canonicalize = require("canonicalize");
const { dsse } = require("@sigstore/core");
const { createInterface } = require("node:readline");

const answer = asked => "json" in asked
    ? Buffer.from(canonicalize(JSON.parse(Buffer.from(asked.json, "base64").toString("utf8"))))
    : dsse.preAuthEncoding(asked.type, Buffer.from(asked.payload, "base64"));

createInterface({ input: process.stdin }).on("line", line => {
    process.stdout.write(answer(JSON.parse(line)).toString("base64") + "\n");
});
