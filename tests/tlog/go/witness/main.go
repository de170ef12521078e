// Witness serves add-checkpoint of c2sp.org/tlog-witness, for one log, until its standard input ends.
// It verifies with golang.org/x/mod/sumdb: notes, signatures and proofs are other people's code.
//
//	witness NAME LOG-VKEY...
//
// It prints its verifier key and its URL, a line each.
package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type witness struct {
	cosigner
	logs note.Verifiers
	name string // the log's

	mu   sync.Mutex
	seen tlog.Tree
}

func main() {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	check(err)
	var logs []note.Verifier
	for _, vkey := range os.Args[2:] {
		verifier, err := note.NewVerifier(vkey)
		check(err)
		logs = append(logs, verifier)
	}
	empty := tlog.Tree{Hash: sha256.Sum256(nil)}
	w := &witness{
		cosigner: cosigner{os.Args[1], key},
		logs:     note.VerifierList(logs...),
		name:     logs[0].Name(),
		seen:     empty,
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Printf("%s\nhttp://%s\n", w.vkey(), listener.Addr())
	http.HandleFunc("POST /add-checkpoint", w.addCheckpoint)
	go func() { check(http.Serve(listener, nil)) }()
	io.Copy(io.Discard, os.Stdin)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func (w *witness) addCheckpoint(out http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(out, request.Body, 1<<16))
	if err != nil {
		http.Error(out, err.Error(), 400)
		return
	}
	head, signed, found := strings.Cut(string(body), "\n\n")
	lines := strings.Split(head, "\n")
	var old int64
	if _, err := fmt.Sscanf(lines[0], "old %d", &old); err != nil || !found || len(lines) > 64 ||
		lines[0] != fmt.Sprintf("old %d", old) {
		http.Error(out, "malformed", 400)
		return
	}
	var proof tlog.TreeProof
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			http.Error(out, err.Error(), 400)
			return
		}
		proof = append(proof, hash)
	}
	if origin, _, _ := strings.Cut(signed, "\n"); origin != w.name {
		http.Error(out, "unknown log", 404)
		return
	}
	opened, err := note.Open([]byte(signed), w.logs)
	if err != nil {
		http.Error(out, err.Error(), 403)
		return
	}
	tree, err := parseTree(opened.Text)
	if err != nil || old > tree.N {
		http.Error(out, "malformed checkpoint", 400)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if old != w.seen.N || old == tree.N && tree != w.seen {
		out.Header().Set("Content-Type", "text/x.tlog.size")
		out.WriteHeader(409)
		fmt.Fprintf(out, "%d\n", w.seen.N)
		return
	}
	if old == 0 || old == tree.N {
		if len(proof) != 0 {
			http.Error(out, "a proof of nothing", 422)
			return
		}
	} else if err := tlog.CheckTree(proof, tree.N, tree.Hash, old, w.seen.Hash); err != nil {
		http.Error(out, err.Error(), 422)
		return
	}
	w.seen = tree
	cosigned, err := note.Sign(&note.Note{Text: opened.Text}, w.cosigner)
	check(err)
	out.Write(cosigned[len(opened.Text)+1:])
}

func parseTree(text string) (tlog.Tree, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// cosigner signs as c2sp.org/tlog-cosignature describes it.
type cosigner struct {
	name string
	key  ed25519.PrivateKey
}

func (c cosigner) typed() []byte {
	return append([]byte{4}, c.key.Public().(ed25519.PublicKey)...)
}

func (c cosigner) vkey() string {
	return fmt.Sprintf("%s+%08x+%s", c.name, c.KeyHash(), base64.StdEncoding.EncodeToString(c.typed()))
}

func (c cosigner) Name() string { return c.name }

func (c cosigner) KeyHash() uint32 {
	hash := sha256.Sum256(append([]byte(c.name+"\n"), c.typed()...))
	return binary.BigEndian.Uint32(hash[:])
}

func (c cosigner) Sign(text []byte) ([]byte, error) {
	now := uint64(time.Now().Unix())
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", now, text)
	body := binary.BigEndian.AppendUint64(nil, now)
	return append(body, ed25519.Sign(c.key, []byte(message))...), nil
}
