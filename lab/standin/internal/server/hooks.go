package server

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"tailwart.lab/standin/internal/acme"
	"tailwart.lab/standin/internal/config"
	"tailwart.lab/standin/internal/ids"
	"tailwart.lab/standin/internal/password"
	"tailwart.lab/standin/internal/registry"
	"tailwart.lab/standin/internal/sign"
	"tailwart.lab/standin/internal/store"
	"tailwart.lab/standin/internal/tlscert"
)

// installHooks connects writes of objects to the parts they concern.
func (s *Server) installHooks() {
	s.reg.OnWrite("Account", accountHook)
	s.reg.OnWrite("AcmeProvider", acme.Register)
	s.reg.OnWrite("Domain", s.acme.Domain)
	s.reg.OnWrite("Certificate", tlscert.Describe)
	s.reg.OnWrite("DkimSignature", sign.Describe)
	s.reg.OnWrite("DnsServer", s.resolvableSecrets)
	s.reg.OnWrite("Task", taskHook)
	s.reg.OnRemove("Account", func(id string) {
		if err := s.mail.Erase(id); err != nil {
			s.log.Emit("error", "Failed to erase account", "store.data-write-error", "reason", store.Reason(err))
		}
	})
}

// accountHook numbers credentials and hashes passwords that were sent in clear.
func accountHook(old, value map[string]any) *registry.Error {
	if old != nil && old["@type"] != value["@type"] {
		return registry.Invalid("@type", "Cannot change the type of an existing account.")
	}
	credentials, _ := value["credentials"].(map[string]any)
	if len(credentials) > 1 {
		return registry.Invalid("credentials", "Only one password credential is allowed.")
	}
	used := map[string]bool{}
	for _, c := range credentials {
		if m, ok := c.(map[string]any); ok {
			used[fmt.Sprint(m["credentialId"])] = true
		}
	}
	next := uint64(0)
	for _, key := range slices.Sorted(maps.Keys(credentials)) {
		m, ok := credentials[key].(map[string]any)
		if !ok {
			continue
		}
		if secret, _ := m["secret"].(string); !password.IsHash(secret) {
			if len(secret) < 8 {
				return registry.Invalid("secret", "Password is too short, minimum length is 8 characters.")
			}
			m["secret"] = password.Hash(secret)
		}
		if id, _ := m["credentialId"].(string); id == "" {
			for used[ids.Encode(next)] {
				next++
			}
			m["credentialId"] = ids.Encode(next)
			used[ids.Encode(next)] = true
		}
	}
	for _, member := range []string{"_ApiKey", "_AppPassword"} {
		if old[member] != nil {
			value[member] = old[member]
		}
	}
	return nil
}

// resolvableSecrets refuses an object whose secrets cannot be read now. Routes
// are not checked this way: they fail later, at a reload.
func (s *Server) resolvableSecrets(_, value map[string]any) *registry.Error {
	for _, property := range slices.Sorted(maps.Keys(value)) {
		secret, ok := value[property].(map[string]any)
		if !ok {
			continue
		}
		if _, err := config.Secret(secret); err != nil {
			return &registry.Error{Type: "invalidProperties", Description: "Failed to build DNS server: " + err.Error()}
		}
	}
	return nil
}

// taskHook gives a new task its times.
func taskHook(_, value map[string]any) *registry.Error {

	status, _ := value["status"].(map[string]any)
	if status == nil {
		return nil
	}
	stamp := time.Now().UTC().Format("2006-01-02T15:04:05Z")
	for _, name := range []string{"createdAt", "due"} {
		if text, held := status[name].(string); held && text == "" {
			status[name] = stamp
		}
	}
	value["due"] = status["due"]
	return nil
}

// spamTask leaves the trace of the rules update that the server attempts at
// every start. The stand-in never calls out, so its attempt is always the one
// that failed.
func (s *Server) spamTask() {
	settings := s.reg.Singleton("SpamSettings")
	url, _ := settings["spamFilterRulesUrl"].(string)
	if settings["enable"] != true || url == "" {
		return
	}
	for _, t := range s.reg.Values("Task") {
		if t["@type"] == "SpamFilterMaintenance" {
			return
		}
	}
	kind := s.reg.Schema.Kind("Task")
	value := s.reg.Schema.New(&kind.Shape, kind.Variant("SpamFilterMaintenance"))
	now := time.Now().UTC()
	value["maintenanceType"] = "updateRules"
	value["due"] = now.Add(time.Minute).Format("2006-01-02T15:04:05Z")
	value["status"] = map[string]any{
		"@type": "Retry", "createdAt": now.Format("2006-01-02T15:04:05Z"), "due": value["due"], "attemptNumber": float64(1),
		"failureReason": fmt.Sprintf("Failed to fetch %s: error sending request for url (%s)", url, url),
	}
	if _, err := s.reg.Put("Task", "", value); err != nil {
		s.storeError("Failed to write task", err)
	}
}
