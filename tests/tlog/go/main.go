// Crosscheck reads a log of ours with other people's code: golang.org/x/mod/sumdb, which is what
// the checksum database of Go is made of. The claims come as JSON on standard input; the first one
// that does not hold is printed, and the exit status is 1.
package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

type claims struct {
	Files       string // the folder that has the tiles
	Log         string // the log's verifier key
	Witness     string // the witness's, of type 4
	Signer      string // the log's private key
	Checkpoints []string
	Inclusion   []inclusion
	Consistency []consistency
}

type inclusion struct {
	Size, Index int64
	Leaf        []byte
	Proof       [][]byte
}

type consistency struct {
	Old, New int64
	Proof    [][]byte
}

func main() {
	var all claims
	if err := json.NewDecoder(os.Stdin).Decode(&all); err != nil {
		fail("the claims: %v", err)
	}
	trees := map[int64]tlog.Tree{}
	for _, text := range all.Checkpoints {
		tree := openCheckpoint(all, []byte(text))
		trees[tree.N] = tree
		checkTiles(all.Files, tree)
	}
	for _, claim := range all.Inclusion {
		checkInclusion(all.Files, trees[claim.Size], claim)
	}
	for _, claim := range all.Consistency {
		checkConsistency(all.Files, trees[claim.Old], trees[claim.New], claim)
	}
	fmt.Printf("%d checkpoints, %d inclusion proofs, %d consistency proofs\n",
		len(all.Checkpoints), len(all.Inclusion), len(all.Consistency))
}

func fail(format string, arguments ...any) {
	fmt.Printf(format+"\n", arguments...)
	os.Exit(1)
}

// openCheckpoint verifies the note, and that Go's signer makes the same signature.
func openCheckpoint(all claims, text []byte) tlog.Tree {
	log, err := note.NewVerifier(all.Log)
	if err != nil {
		fail("the log's key: %v", err)
	}
	witness, err := newWitness(all.Witness)
	if err != nil {
		fail("the witness's key: %v", err)
	}
	opened, err := note.Open(text, note.VerifierList(log, witness))
	if err != nil {
		fail("a checkpoint: %v", err)
	}
	if len(opened.Sigs) != 2 || len(opened.UnverifiedSigs) != 0 {
		fail("a checkpoint: %d signatures, expected the log's and the witness's", len(opened.Sigs))
	}
	signer, err := note.NewSigner(all.Signer)
	if err != nil {
		fail("the log's private key: %v", err)
	}
	again, err := note.Sign(&note.Note{Text: opened.Text}, signer)
	if err != nil || !bytes.HasPrefix(text, again) {
		fail("a checkpoint is not signed as Go signs it: %v", err)
	}
	return parseTree(log.Name(), opened.Text)
}

func parseTree(origin, text string) tlog.Tree {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] != origin || lines[3] != "" {
		fail("a checkpoint is not an origin, a size and a root: %q", text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		fail("a size: %v", err)
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		fail("a root: %v", err)
	}
	return tlog.Tree{N: size, Hash: root}
}

// checkTiles makes every tile of the tree from its leaves, and compares them with the files.
func checkTiles(files string, tree tlog.Tree) {
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for at, index := range indexes {
			found[at] = stored[index]
		}
		return found, nil
	})
	for index, leaf := range readLeaves(files, tree.N) {
		hashes, err := tlog.StoredHashes(int64(index), leaf, read)
		if err != nil {
			fail("leaf %d: %v", index, err)
		}
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(tree.N, read)
	if err != nil || root != tree.Hash {
		fail("the leaves do not have the root of the checkpoint of %d: %v", tree.N, err)
	}
	for _, tile := range tlog.NewTiles(height, 0, tree.N) {
		data, err := tlog.ReadTileData(tile, read)
		if err != nil || !bytes.Equal(data, readFile(files, tile)) {
			fail("%s is not the tile of the leaves: %v", tile.Path(), err)
		}
	}
}

// readLeaves reads the tiles of entries: their format is not one of golang.org/x/mod.
func readLeaves(files string, size int64) [][]byte {
	var leaves [][]byte
	for at := int64(0); at < size; at += 1 << height {
		width := min(size-at, 1<<height)
		data := readFile(files, tlog.Tile{H: height, L: -1, N: at >> height, W: int(width)})
		for range width {
			length := int(binary.BigEndian.Uint16(data))
			leaves = append(leaves, data[2:2+length])
			data = data[2+length:]
		}
		if len(data) != 0 {
			fail("a tile of entries has %d bytes too many", len(data))
		}
	}
	return leaves
}

func readFile(files string, tile tlog.Tile) []byte {
	path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1) // our height goes without saying
	path = strings.Replace(path, "tile/data/", "tile/entries/", 1)
	data, err := os.ReadFile(filepath.Join(files, path))
	if err != nil {
		fail("%v", err)
	}
	return data
}

func checkInclusion(files string, tree tlog.Tree, claim inclusion) {
	proof := tlog.RecordProof(hashes(claim.Proof))
	leaf := tlog.RecordHash(claim.Leaf)
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, claim.Index, leaf); err != nil {
		fail("leaf %d of %d: %v", claim.Index, tree.N, err)
	}
	reader := tlog.TileHashReader(tree, tiles(files))
	made, err := tlog.ProveRecord(tree.N, claim.Index, reader)
	if err != nil || !slices.Equal(made, proof) {
		fail("leaf %d of %d has another proof: %v", claim.Index, tree.N, err)
	}
}

func checkConsistency(files string, old, tree tlog.Tree, claim consistency) {
	proof := tlog.TreeProof(hashes(claim.Proof))
	if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
		fail("from %d to %d: %v", old.N, tree.N, err)
	}
	made, err := tlog.ProveTree(tree.N, old.N, tlog.TileHashReader(tree, tiles(files)))
	if err != nil || !slices.Equal(made, proof) {
		fail("from %d to %d there is another proof: %v", old.N, tree.N, err)
	}
}

func hashes(proof [][]byte) []tlog.Hash {
	made := make([]tlog.Hash, len(proof))
	for at, data := range proof {
		if copy(made[at][:], data) != len(data) || len(data) != tlog.HashSize {
			fail("a hash of %d bytes", len(data))
		}
	}
	return made
}

// tiles reads a folder, for the checks that TileHashReader makes of every tile.
type tiles string

func (files tiles) Height() int { return height }

func (files tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(wanted))
	for at, tile := range wanted {
		data[at] = readFile(string(files), tile)
	}
	return data, nil
}

func (files tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// witness verifies cosignatures, as c2sp.org/tlog-cosignature describes them.
type witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func newWitness(text string) (*witness, error) {
	name, rest, _ := strings.Cut(text, "+")
	hash, key, _ := strings.Cut(rest, "+")
	number, err := strconv.ParseUint(hash, 16, 32)
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(data) != 1+ed25519.PublicKeySize || data[0] != 4 {
		return nil, errors.New("not a key for cosignatures")
	}
	return &witness{name, uint32(number), data[1:]}, nil
}

func (w *witness) Name() string    { return w.name }
func (w *witness) KeyHash() uint32 { return w.hash }

func (w *witness) Verify(text, body []byte) bool {
	if len(body) != 8+ed25519.SignatureSize {
		return false
	}
	time := binary.BigEndian.Uint64(body)
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", time, text)
	return ed25519.Verify(w.key, []byte(message), body[8:])
}
