// Package blob keeps message bodies: in the data store, or in S3 when x:BlobStore
// says so.
package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"tailwart.lab/standin/internal/config"
	"tailwart.lab/standin/internal/schema"
	"tailwart.lab/standin/internal/store"
)

// Blobs stores bodies under the SHA-256 of their content.
type Blobs struct {
	data    store.Store
	current func() map[string]any

	mu     sync.Mutex
	object map[string]any
	client *minio.Client
}

// New makes a blob store; current returns the x:BlobStore object.
func New(data store.Store, current func() map[string]any) *Blobs {
	return &Blobs{data: data, current: current}
}

// s3 returns the client for the configured bucket, nil when the data store is used.
func (b *Blobs) s3() (*minio.Client, map[string]any, error) {
	object := b.current()
	if object["@type"] != "S3" {
		return nil, nil, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.client != nil && schema.Equal(b.object, object) {
		return b.client, object, nil
	}
	secret, err := config.Secret(object["secretKey"])
	if err != nil {
		return nil, nil, err
	}
	access, err := config.Secret(object["accessKey"])
	if err != nil {
		return nil, nil, err
	}
	region, _ := object["region"].(map[string]any)
	endpoint, err := url.Parse(config.Text(region, "customEndpoint", ""))
	if err != nil || endpoint.Host == "" {
		return nil, nil, fmt.Errorf("S3 region %v: only a custom endpoint is known to this stand-in", region["@type"])
	}
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds:        credentials.NewStaticV4(access, secret, ""),
		Secure:       endpoint.Scheme == "https",
		Region:       config.Text(region, "customRegion", ""),
		BucketLookup: minio.BucketLookupPath,
		MaxRetries:   config.Int(object, "maxRetries", 3),
	})
	if err != nil {
		return nil, nil, err
	}
	b.client, b.object = client, object
	return client, object, nil
}

// timeout is shorter than the server's own: a client that waits for an answer
// to DATA should see the failure.
const timeout = 10 * time.Second

// Put stores a body and returns its id.
func (b *Blobs) Put(body []byte) (string, error) {
	sum := sha256.Sum256(body)
	id := hex.EncodeToString(sum[:])
	client, object, err := b.s3()
	if err != nil {
		return "", err
	}
	if client == nil {
		return id, b.data.Apply(store.Op{Space: "blob", Key: id, Value: body})
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	_, err = client.PutObject(ctx, config.Text(object, "bucket", ""), config.Text(object, "keyPrefix", "")+id,
		bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{})
	return id, err
}

// Get reads a body.
func (b *Blobs) Get(id string) ([]byte, error) {
	body, err := b.Find(id)
	if err == nil && body == nil {
		err = fmt.Errorf("blob %s not found", id)
	}
	return body, err
}

// Find reads a body; nil when the store does not have it.
func (b *Blobs) Find(id string) ([]byte, error) {
	client, object, err := b.s3()
	if err != nil {
		return nil, err
	}
	if client == nil {
		return b.data.Get("blob", id)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	o, err := client.GetObject(ctx, config.Text(object, "bucket", ""), config.Text(object, "keyPrefix", "")+id, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer o.Close()
	body, err := io.ReadAll(o)
	if minio.ToErrorResponse(err).Code == "NoSuchKey" {
		return nil, nil
	}
	return body, err
}

// Delete removes a body.
func (b *Blobs) Delete(id string) error {
	client, object, err := b.s3()
	if err != nil {
		return err
	}
	if client == nil {
		return b.data.Apply(store.Op{Space: "blob", Key: id})
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return client.RemoveObject(ctx, config.Text(object, "bucket", ""), config.Text(object, "keyPrefix", "")+id, minio.RemoveObjectOptions{})
}
