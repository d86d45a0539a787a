package jmap

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"tailwart.lab/standin/internal/schema"
)

// Description is the schema as it is served: its compressed text, and the hash
// of the text that its address ends with.
type Description struct {
	hash       string
	compressed []byte
}

// Describe renders a schema.
func Describe(s *schema.Schema) Description {
	text, err := json.Marshal(s.Export())
	if err != nil {
		panic(err) // maps of text and numbers: cannot fail
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(text)
	z.Close()
	sum := sha256.Sum256(text)
	return Description{base64.RawURLEncoding.EncodeToString(sum[:]), b.Bytes()}
}

// describe answers /api/schema: whoever may log in may read it, at an address
// that changes with the text, so that it can be kept for ever.
func (s *Server) describe(w http.ResponseWriter, r *http.Request, path string) {
	if s.Authenticate(w, r) == nil {
		return
	}
	if path != "/"+s.Schema.hash {
		w.Header().Set("Location", "/api/schema/"+s.Schema.hash)
		w.WriteHeader(http.StatusFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Write(s.Schema.compressed)
}
