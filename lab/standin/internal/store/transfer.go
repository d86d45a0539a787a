package store

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

type record struct {
	K string `json:"k"`
	V []byte `json:"v"`
}

// importBatch bounds the size of one write, not the size of an import.
const importBatch = 200

// Export writes one file for each space into a directory. The files hold mail
// and secrets, hence the modes.
func Export(s Store, directory string) error {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	for _, space := range Spaces {
		f, err := os.OpenFile(filepath.Join(directory, space), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		w := bufio.NewWriter(f)
		enc := json.NewEncoder(w)
		err = s.Range(space, "", func(k string, v []byte) error { return enc.Encode(record{k, v}) })
		if err = errors.Join(err, w.Flush(), f.Close()); err != nil {
			return fmt.Errorf("export %s: %w", space, err)
		}
	}
	return nil
}

// Import reads what Export wrote.
func Import(s Store, directory string) error {
	found := false
	for _, space := range Spaces {
		f, err := os.Open(filepath.Join(directory, space))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		found = true
		err = errors.Join(importSpace(s, space, f), f.Close())
		if err != nil {
			return fmt.Errorf("import %s: %w", space, err)
		}
	}
	if !found {
		return fmt.Errorf("%s holds no exported subspace", directory)
	}
	return nil
}

func importSpace(s Store, space string, r io.Reader) error {
	dec := json.NewDecoder(r)
	var ops []Op
	for {
		var rec record
		err := dec.Decode(&rec)
		if err == nil {
			ops = append(ops, Op{space, rec.K, rec.V})
		}
		if len(ops) > 0 && (err != nil || len(ops) == importBatch) {
			if writeErr := s.Apply(ops...); writeErr != nil {
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
