package store

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// letters name the parts of an export, each by that part of the real server's that
// comes nearest: settings, mailboxes, the queue, bodies and the links to them.
var letters = map[string]string{
	"object": "s", "counter": "n", "meta": "d", "mailbox": "i", "message": "p", "queue": "e", "blob": "t", "link": "k",
}

// families are what EXPORT_TYPES selects.
var families = map[string][]string{
	"data": {"counter", "mailbox", "message"}, "registry": {"object", "meta"}, "queue": {"queue"}, "blob": {"blob", "link"},
	"changelog": nil, "report": nil, "telemetry": nil, "tasks": nil,
}

// Bodies are the message bodies, wherever they are.
type Bodies interface {
	// Find returns nil when there is no such body.
	Find(id string) ([]byte, error)
	Put(body []byte) (string, error)
}

// Transfer writes a store into a directory, and reads it from there.
type Transfer struct {
	Store  Store
	Bodies Bodies
	// Checks: the import refuses keys in the store that it imports into, those
	// included that its own start has put there.
	Checks bool
}

type record struct {
	K string `json:"k"`
	V []byte `json:"v"`
}

// importBatch bounds the size of one write, not the size of an import.
const importBatch = 200

// Export writes one file for each space of the types (comma-separated; empty:
// all) into a directory. The files hold mail and secrets, hence the modes.
func (t *Transfer) Export(directory, types string) error {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	for family, spaces := range families {
		if types != "" && !slices.Contains(strings.Split(types, ","), family) {
			continue
		}
		for _, space := range spaces {
			if err := t.exportSpace(filepath.Join(directory, "subspace_"+letters[space]), space); err != nil {
				return fmt.Errorf("export %s: %w", space, err)
			}
		}
	}
	return nil
}

func (t *Transfer) exportSpace(path, space string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	write := func(k string, v []byte) error { return enc.Encode(record{k, v}) }
	switch space {
	case "blob", "link":
		err = t.exportBodies(space == "blob", write)
	default:
		err = t.Store.Range(space, "", write)
	}
	return errors.Join(err, w.Flush(), f.Close())
}

// exportBodies visits every body that something refers to; one that is missing
// in its store is left out without a word, as the real server does.
func (t *Transfer) exportBodies(content bool, write func(string, []byte) error) error {
	links, err := t.links()
	for _, id := range links {
		if err != nil {
			break
		}
		var body []byte
		if content {
			if body, err = t.Bodies.Find(id); err != nil || body == nil {
				continue
			}
		}
		err = write(id, body)
	}
	return err
}

// links are the ids of all bodies that messages and the queue refer to, in order.
func (t *Transfer) links() ([]string, error) {
	var ids []string
	for _, space := range []string{"message", "queue"} {
		err := t.Store.Range(space, "", func(_ string, raw []byte) error {
			var holder struct {
				Blob string `json:"blob"`
			}
			if json.Unmarshal(raw, &holder) == nil && holder.Blob != "" {
				ids = append(ids, holder.Blob)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// Import reads a directory that Export wrote, or one of its files.
func (t *Transfer) Import(path string) error {
	files, err := filepath.Glob(filepath.Join(path, "subspace_*"))
	if info, statErr := os.Stat(path); statErr != nil || !info.IsDir() {
		files, err = []string{path}, statErr
	}
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s holds no exported subspace", path)
	}
	for _, file := range files {
		if err != nil {
			break
		}
		err = t.importFile(file)
	}
	return err
}

func (t *Transfer) importFile(path string) error {
	_, letter, _ := strings.Cut(filepath.Base(path), "subspace_")
	space := ""
	for name, each := range letters {
		if each == letter {
			space = name
		}
	}
	if space == "" {
		return fmt.Errorf("%s is no exported subspace", path)
	}
	if t.Checks {
		if err := t.refuse(path, space); err != nil {
			return err
		}
	}
	if space == "link" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(t.importSpace(space, f), f.Close())
}

// refuse says that there is something already. The real server's start has put
// its own lease among the settings by then.
func (t *Transfer) refuse(path, space string) error {
	used := space == "object"
	if space != "link" {
		err := t.Store.Range(space, "", func(string, []byte) error {
			used = true
			return nil
		})
		if err != nil {
			return err
		}
	}
	if used {
		return fmt.Errorf("Cannot import %s: the target database already contains data in the key range being imported", path)
	}
	return nil
}

func (t *Transfer) importSpace(space string, r io.Reader) error {
	dec := json.NewDecoder(r)
	var ops []Op
	for {
		var rec record
		err := dec.Decode(&rec)
		switch {
		case err == nil && space == "blob":
			if _, err := t.Bodies.Put(rec.V); err != nil {
				return fmt.Errorf("Failed to write blob: %w", err)
			}
		case err == nil:
			ops = append(ops, Op{space, rec.K, rec.V})
		}
		if len(ops) > 0 && (err != nil || len(ops) == importBatch) {
			if writeErr := t.Store.Apply(ops...); writeErr != nil {
				return writeErr
			}
			ops = nil
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
