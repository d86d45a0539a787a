// Package server puts the parts together: store, settings, listeners, mail.
package server

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"tailwart.lab/standin/internal/acme"
	"tailwart.lab/standin/internal/blob"
	"tailwart.lab/standin/internal/config"
	"tailwart.lab/standin/internal/directory"
	"tailwart.lab/standin/internal/ids"
	"tailwart.lab/standin/internal/imapd"
	"tailwart.lab/standin/internal/jmap"
	"tailwart.lab/standin/internal/mailstore"
	"tailwart.lab/standin/internal/memory"
	"tailwart.lab/standin/internal/network"
	"tailwart.lab/standin/internal/queue"
	"tailwart.lab/standin/internal/registry"
	"tailwart.lab/standin/internal/schema"
	"tailwart.lab/standin/internal/sieve"
	"tailwart.lab/standin/internal/sign"
	"tailwart.lab/standin/internal/smtpd"
	"tailwart.lab/standin/internal/store"
	"tailwart.lab/standin/internal/tlscert"
	"tailwart.lab/standin/internal/trace"
	"tailwart.lab/standin/internal/webhook"
	"tailwart.lab/standin/internal/zone"
)

// Name is how the program calls itself everywhere.
func Name(v schema.Version) string { return fmt.Sprintf("Stalwart stand-in for v%s", v) }

// Server is a running server.
type Server struct {
	log       *trace.Log
	data      store.Store
	reg       *registry.Registry
	dir       *directory.Directory
	certs     *tlscert.Certificates
	mail      *mailstore.Mail
	memory    *memory.Store
	queue     *queue.Queue
	signer    *sign.Signer
	zone      *zone.Writer
	acme      *acme.Manager
	listeners network.Set
	hooks     webhook.Senders
	// blobStore is the x:BlobStore that is in use: the one that was there at the start.
	blobStore map[string]any
	// storeCode is the event that failures of the configured store are logged as.
	storeCode string
	recovery  bool
	started   time.Time
	mux       http.Handler
	// http is what was read of x:Http at the start or at a reload.
	http atomic.Pointer[map[string]any]
}

// Environment is what the process was started with.
type Environment struct {
	// Version is the server's version that the stand-in behaves as.
	Version schema.Version
	// RecoveryMode opens 8080 alone and leaves mail at rest.
	RecoveryMode bool
	// RecoveryAdmin is "name:password", or empty.
	RecoveryAdmin string
}

// FromEnvironment reads the version to speak and the two recovery variables.
func FromEnvironment() (Environment, error) {
	version, err := schema.ReadVersion(cmp.Or(os.Getenv("LAB_STALWART_VERSION"), schema.Default))
	if err != nil {
		return Environment{}, fmt.Errorf("LAB_STALWART_VERSION: %w", err)
	}
	mode := os.Getenv("STALWART_RECOVERY_MODE")
	recovery := mode == "1" || strings.EqualFold(mode, "true")
	return Environment{Version: version, RecoveryMode: recovery, RecoveryAdmin: os.Getenv("STALWART_RECOVERY_ADMIN")}, nil
}

// Start opens the store and everything above it. A store that cannot be set up
// ends the start.
func Start(cfg *config.Config, env Environment) (*Server, error) {
	name, code := "PostgreSQL", "store.postgresql-error"
	if cfg.Object["@type"] == "RocksDb" {
		name, code = "RocksDB", "store.rocksdb-error"
	}
	s := &Server{storeCode: code, log: &trace.Log{}, recovery: env.RecoveryMode, started: time.Now()}
	var err error
	if s.data, err = cfg.Open(); err != nil {
		return nil, fmt.Errorf("⚠️ Startup failed: Failed to create tables: %s error (%s): %s", name, code, store.Reason(err))
	}
	clock := &ids.Clock{}
	if s.reg, err = registry.Open(schema.Load(env.Version), s.data, clock); err != nil {
		return nil, err
	}
	if err := s.dataStoreObject(cfg); err != nil {
		return nil, err
	}
	if !env.RecoveryMode {
		if err := s.reg.Defaults(); err != nil {
			s.storeError("Failed to write defaults", err)
		}
	}
	var recovery *directory.Recovery
	if name, secret, ok := strings.Cut(env.RecoveryAdmin, ":"); ok && name != "" && secret != "" {
		recovery = &directory.Recovery{Name: name, Password: secret}
	}
	s.dir = directory.New(s.reg, recovery)
	if s.certs, err = tlscert.New(s.reg); err != nil {
		return nil, err
	}
	s.memory = &memory.Store{Log: s.log}
	s.useStores()
	s.useHTTP()
	s.mail = mailstore.New(s.data, blob.New(s.data, func() map[string]any { return s.blobStore }))
	// The recommended zone follows a new name from the next start on.
	started := s.hostname()
	s.zone = &zone.Writer{Registry: s.reg, Certificates: s.certs, Hostname: func() string { return started }}
	s.acme = &acme.Manager{Registry: s.reg, Certificates: s.certs, Zone: s.zone, Log: s.log}
	s.signer = &sign.Signer{Registry: s.reg, Log: s.log}
	s.queue = &queue.Queue{Data: s.data, Blobs: s.mail.Blobs, Mail: s.mail, Registry: s.reg, Directory: s.dir, Log: s.log, Clock: clock, Sieve: &sieve.Scripts{Data: s.data},
		Hostname: s.hostname, OnTraffic: func(account string) { s.memory.Count("delivery", account) }}
	s.log.Heard = s.hooks.Tell
	s.hooks.Configure(s.reg.Values("WebHook"))
	s.installHooks()
	s.log.Configure(s.reg.Values("Tracer"))
	for kind, why := range s.reg.Unreadable {
		s.log.Emit("error", "Failed to deserialize object", "registry.deserialization-error", "details", kind, "reason", why)
	}
	s.openListeners()
	if env.RecoveryMode {
		return s, nil
	}
	if err := s.queue.Start(); err != nil {
		return nil, err
	}
	s.memory.Count("start", s.hostname())
	s.spamTask()
	go s.signer.Run()
	go s.acme.Run()
	go s.maintain()
	return s, nil
}

// name is how this server calls itself.
func (s *Server) name() string { return Name(s.reg.Schema.Version) }

func (s *Server) storeError(what string, err error) {
	s.log.Emit("error", "Data store error", s.storeCode, "details", what, "reason", store.Reason(err))
}

// dataStoreObject shows config.json's store as x:DataStore.
func (s *Server) dataStoreObject(cfg *config.Config) error {
	kind := s.reg.Schema.Kind("DataStore")
	value, err := s.reg.Schema.Create(&kind.Shape, cfg.Object)
	if err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	if schema.Equal(value, s.reg.Singleton("DataStore")) {
		return nil
	}
	if _, err := s.reg.Put("DataStore", registry.SingletonID, value); err != nil {
		s.storeError("Failed to write settings", err)
	}
	return nil
}

func (s *Server) hostname() string {
	if name, _ := s.reg.Singleton("SystemSettings")["defaultHostname"].(string); name != "" {
		return name
	}
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// useStores takes the blob and in-memory stores from the settings, once: what
// is written later counts from the next start.
func (s *Server) useStores() {
	s.blobStore = s.reg.Singleton("BlobStore")
	s.memory.Use(s.reg.Singleton("InMemoryStore"))
}

func (s *Server) openListeners() {
	state := make([]byte, 4)
	rand.Read(state)
	api := &jmap.Server{Registry: s.reg, Directory: s.dir, Backend: s, Sieve: s.queue.Sieve, State: hex.EncodeToString(state), StandIn: s.name(), Schema: jmap.Describe(s.reg.Schema)}
	s.mux = s.web(api)
	options := network.Options{
		Log: s.log, TLS: s.certs.Config(), Banned: s.dir.Banned,
		Trusted: networks(s.reg.Singleton("SystemSettings")["proxyTrustedNetworks"]),
	}
	smtp := &smtpd.Server{Options: options, Registry: s.reg, Directory: s.dir, Queue: s.queue, Signer: s.signer, Hostname: s.hostname}
	imap := &imapd.Server{Options: options, Registry: s.reg, Directory: s.dir, Mail: s.mail}
	options.Handlers = map[string]network.Handler{"http": s.serveHTTP, "smtp": smtp.Serve, "imap": imap.Serve}
	if s.recovery {
		s.listeners.Open(map[string]any{"name": "http-recovery", "bind": map[string]any{"[::]:8080": true}, "protocol": "http"}, options)
		return
	}
	for _, l := range s.reg.Values("NetworkListener") {
		s.listeners.Open(l, options)
	}
}

func networks(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// Stop closes the listeners and the store.
func (s *Server) Stop() error {
	s.listeners.Close()
	s.queue.Pause(true)
	return s.data.Close()
}
