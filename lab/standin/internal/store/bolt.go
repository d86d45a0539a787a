package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// Bolt is the embedded store. The real server uses RocksDB here; RocksDB is
// C++ and cannot be part of a static Go program, so this keeps a bbolt file in
// the directory that the configuration gives to RocksDB.
type Bolt struct{ db *bbolt.DB }

// OpenBolt opens or creates the embedded store below a directory.
func OpenBolt(directory string) (*Bolt, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, err
	}
	// A second process on the same store must fail, not wait for ever.
	db, err := bbolt.Open(filepath.Join(directory, "standin.db"), 0o600, &bbolt.Options{Timeout: 3 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("open embedded store %s: %w", directory, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, space := range Spaces {
			if _, err := tx.CreateBucketIfNotExists([]byte(space)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &Bolt{db}, nil
}

// Get implements Store.
func (b *Bolt) Get(space, key string) (value []byte, err error) {
	err = b.db.View(func(tx *bbolt.Tx) error {
		if v := tx.Bucket([]byte(space)).Get([]byte(key)); v != nil {
			value = bytes.Clone(v)
		}
		return nil
	})
	return value, err
}

// Range implements Store.
func (b *Bolt) Range(space, prefix string, visit func(string, []byte) error) error {
	type pair struct {
		k string
		v []byte
	}
	var pairs []pair
	err := b.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket([]byte(space)).Cursor()
		for k, v := c.Seek([]byte(prefix)); k != nil && bytes.HasPrefix(k, []byte(prefix)); k, v = c.Next() {
			pairs = append(pairs, pair{string(k), bytes.Clone(v)})
		}
		return nil
	})
	// Visited outside the transaction: a visitor that writes would deadlock in it.
	for _, p := range pairs {
		if err == nil {
			err = visit(p.k, p.v)
		}
	}
	return err
}

// Apply implements Store.
func (b *Bolt) Apply(ops ...Op) error {
	return b.db.Update(func(tx *bbolt.Tx) error {
		for _, op := range ops {
			bucket := tx.Bucket([]byte(op.Space))
			var err error
			if op.Value == nil {
				err = bucket.Delete([]byte(op.Key))
			} else {
				err = bucket.Put([]byte(op.Key), op.Value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Close implements Store.
func (b *Bolt) Close() error { return b.db.Close() }
