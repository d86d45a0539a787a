package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"tailwart.lab/standin/internal/config"
	"tailwart.lab/standin/internal/registry"
)

// ZoneFile implements jmap.Backend.
func (s *Server) ZoneFile(domain registry.Object) string { return s.zone.File(domain) }

// UsedQuota implements jmap.Backend.
func (s *Server) UsedQuota(account string) int64 { return s.mail.Used(account) }

// Queue implements jmap.Backend.
func (s *Server) Queue() []registry.Object { return s.queue.Objects() }

// Unqueue implements jmap.Backend.
func (s *Server) Unqueue(id string) bool { return s.queue.Drop(id) }

// Retry implements jmap.Backend.
func (s *Server) Retry(id string, when time.Time) bool { return s.queue.Retry(id, when) }

// Act implements jmap.Backend.
func (s *Server) Act(name string) *registry.Error {
	switch name {
	case "ReloadSettings":
		return s.reload()
	case "ReloadTlsCertificates":
		s.certs.Reload()
	case "ReloadBlockedIps":
		s.dir.ReloadBlocked()
	case "PauseMtaQueue":
		s.queue.Pause(true)
	case "ResumeMtaQueue":
		s.queue.Pause(false)
	}
	return nil
}

// reload checks every object; one that is bad makes it fail as a whole. Sockets,
// proxy trust and the route table stay as they are until a restart.
func (s *Server) reload() *registry.Error {
	for _, name := range s.reg.Schema.Order {
		// Accounts hold hashes, not secrets to resolve; config.json is read at start.
		if name == "Account" || name == "DataStore" {
			continue
		}
		for _, o := range s.reg.List(name) {
			if err := unresolved(o.Value); err != nil {
				return &registry.Error{Type: "validationFailed", Description: err.Error(), ObjectID: &registry.ObjectID{Object: name, ID: o.ID}}
			}
		}
	}
	if err := s.pyzor(); err != nil {
		return &registry.Error{Type: "validationFailed", Description: err.Error(), ObjectID: &registry.ObjectID{Object: "SpamPyzor", ID: registry.SingletonID}}
	}
	s.certs.Reload()
	s.useHTTP()
	s.dir.ReloadSecurity()
	s.log.Configure(s.reg.Values("Tracer"))
	s.hooks.Configure(s.reg.Values("WebHook"))
	s.log.Info("Settings reloaded", "server.settings-reloaded")
	return nil
}

// unresolved looks for a secret reference that leads nowhere.
func unresolved(value any) error {
	m, ok := value.(map[string]any)
	if !ok {
		return nil
	}
	if m["@type"] == "EnvironmentVariable" || m["@type"] == "File" {
		_, err := config.Secret(m)
		return err
	}
	for _, member := range m {
		if err := unresolved(member); err != nil {
			return err
		}
	}
	return nil
}

// pyzor resolves the host of the Pyzor service, as the server does when it is on.
func (s *Server) pyzor() error {
	settings := s.reg.Singleton("SpamPyzor")
	if settings["enable"] != true {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := net.DefaultResolver.LookupHost(ctx, config.Text(settings, "host", ""))
	if err == nil {
		return nil
	}
	reason := "Temporary failure in name resolution"
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		reason = "Name or service not known"
	}
	return fmt.Errorf("Invalid address: failed to lookup address information: %s", reason) //nolint:staticcheck // the server's own words
}

// Metrics implements jmap.Backend.
func (s *Server) Metrics(r *http.Request) (string, int) {
	settings, _ := s.reg.Singleton("Metrics")["prometheus"].(map[string]any)
	if settings["@type"] != "Enabled" {
		return "", http.StatusNotFound
	}
	if name := config.Text(settings, "authUsername", ""); name != "" {
		secret, err := config.Secret(settings["authSecret"])
		user, given, _ := r.BasicAuth()
		if err != nil || user != name || subtle.ConstantTimeCompare([]byte(given), []byte(secret)) != 1 {
			return "", http.StatusUnauthorized
		}
	}
	page := fmt.Sprintf("# HELP server_uptime_seconds Seconds since start.\n# TYPE server_uptime_seconds gauge\nserver_uptime_seconds %d\n",
		int(time.Since(s.started).Seconds()))
	// The length of the queue is no metric of the server's: who needs it asks for x:QueuedMessage.
	page += fmt.Sprintf("# HELP delivery_active_connections Deliveries under way.\n# TYPE delivery_active_connections gauge\ndelivery_active_connections %d\n", s.queue.Running())
	page += fmt.Sprintf("# HELP user_count Accounts.\n# TYPE user_count gauge\nuser_count %d\n", len(s.reg.List("Account")))
	page += fmt.Sprintf("# HELP domain_count Domains.\n# TYPE domain_count gauge\ndomain_count %d\n", len(s.reg.List("Domain")))
	return page, http.StatusOK
}
