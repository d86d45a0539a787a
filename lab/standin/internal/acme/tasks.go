package acme

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"tailwart.lab/standin/internal/expr"
	"tailwart.lab/standin/internal/registry"
	"tailwart.lab/standin/internal/schema"
	"tailwart.lab/standin/internal/tlscert"
	"tailwart.lab/standin/internal/trace"
	"tailwart.lab/standin/internal/zone"
)

const stamp = "2006-01-02T15:04:05Z"

// retryAfter is the pause before a failed renewal is tried again.
const retryAfter = time.Minute

// Manager runs the AcmeRenewal tasks.
type Manager struct {
	Registry     *registry.Registry
	Certificates *tlscert.Certificates
	Zone         *zone.Writer
	Log          *trace.Log

	published map[string]string

	mu         sync.Mutex
	switchedOn []string
}

// Domain is the hook for writes of Domain objects: automatic management that
// was just switched on makes a task that is due at once. Another provider for a
// domain that was automatic before makes none.
func (m *Manager) Domain(old, value map[string]any) *registry.Error {
	if !automatic(value) || (old != nil && automatic(old)) {
		return nil
	}
	dns, _ := value["dnsManagement"].(map[string]any)
	if provider := m.provider(value); provider != nil && provider["challengeType"] == "Dns01" && dns["@type"] != "Automatic" {
		return registry.Invalid("acmeProviderId", "ACME provider requires automatic DNS management")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.switchedOn = append(m.switchedOn, expr.Text(value["name"]))
	return nil
}

// enlist makes the tasks of domains that were switched to automatic. The hook
// cannot: a domain that is being created has no id yet.
func (m *Manager) enlist() {
	m.mu.Lock()
	names := m.switchedOn
	m.switchedOn = nil
	m.mu.Unlock()
	for _, name := range names {
		if domain, ok := m.Registry.Find("Domain", name); ok && automatic(domain.Value) {
			m.schedule(domain.ID, time.Now())
		}
	}
}

func automatic(domain map[string]any) bool {
	management, _ := domain["certificateManagement"].(map[string]any)
	return management["@type"] == "Automatic"
}

func (m *Manager) schedule(domainID string, due time.Time) {
	kind := m.Registry.Schema.Kind("Task")
	value := m.Registry.Schema.New(&kind.Shape, kind.Variant("AcmeRenewal"))
	value["domainId"] = domainID
	value["due"] = due.UTC().Format(stamp)
	value["status"] = map[string]any{"@type": "Pending", "createdAt": time.Now().UTC().Format(stamp), "due": value["due"]}
	if _, err := m.Registry.Put("Task", "", value); err != nil {
		m.Log.Emit("error", "Failed to schedule renewal", "acme.error", "reason", err.Error())
	}
}

// Run carries out renewals when they are due, one after the other, and writes
// the records that a domain lets the server write.
func (m *Manager) Run() {
	m.published = map[string]string{}
	for ; ; time.Sleep(time.Second) {
		m.enlist()
		for _, task := range m.Registry.List("Task") {
			due, err := time.Parse(stamp, expr.Text(task.Value["due"]))
			status, _ := task.Value["status"].(map[string]any)
			if task.Value["@type"] == "AcmeRenewal" && err == nil && !due.After(time.Now()) && status["@type"] != "Failed" {
				m.renew(task)
			}
		}
		m.publish()
	}
}

func (m *Manager) renew(task registry.Object) {
	domainID := expr.Text(task.Value["domainId"])
	domain := m.Registry.Get("Domain", domainID)
	if domain == nil || !automatic(domain) {
		m.remove("Task", task.ID)
		return
	}
	name := expr.Text(domain["name"])
	if due := m.fresh(domain); m.Registry.Schema.Does("fresh-certificate-refuses-renewal") && due.After(time.Now()) {
		m.fail(task, fmt.Sprintf("Certificate for domain %s is still valid; renewal is not due until %s", name, due.UTC().Format(stamp)))
		return
	}
	m.Log.Info("ACME order started", "acme.order-start", "domain", name)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	chain, key, err := m.obtain(ctx, domain)
	if err != nil {
		m.Log.Emit("error", "ACME error", "acme.error", "domain", name, "reason", reason(err))
		m.retry(task, reason(err))
		return
	}
	value := map[string]any{"certificate": map[string]any{"@type": "Text", "value": chain}, "privateKey": map[string]any{"@type": "Text", "secret": key}}
	if problem := tlscert.Describe(nil, value); problem != nil {
		m.retry(task, problem.Description)
		return
	}
	for _, o := range m.Registry.List("Certificate") {
		if schema.Equal(o.Value["subjectAlternativeNames"], value["subjectAlternativeNames"]) {
			m.remove("Certificate", o.ID)
		}
	}
	if _, err := m.Registry.Put("Certificate", "", value); err != nil {
		m.retry(task, err.Error())
		return
	}
	m.Certificates.Reload()
	m.remove("Task", task.ID)
	m.Log.Info("ACME certificate obtained", "acme.order-completed", "domain", name, "expires", expr.Text(value["notValidAfter"]))
	m.schedule(domainID, renewal(m.provider(domain), value))
}

// fresh is when the renewal of a domain's certificate is due; zero without one.
func (m *Manager) fresh(domain map[string]any) time.Time {
	wanted := map[string]any{}
	for _, name := range names(domain) {
		wanted[name] = true
	}
	for _, o := range m.Registry.List("Certificate") {
		if schema.Equal(o.Value["subjectAlternativeNames"], wanted) && expr.Text(o.Value["issuer"]) != "" {
			return renewal(m.provider(domain), o.Value)
		}
	}
	return time.Time{}
}

func (m *Manager) fail(task registry.Object, why string) {
	value := schema.Clone(task.Value).(map[string]any)
	before, _ := task.Value["status"].(map[string]any)
	attempt, _ := before["attemptNumber"].(float64)
	value["status"] = map[string]any{"@type": "Failed", "createdAt": before["createdAt"], "failedAt": time.Now().UTC().Format(stamp),
		"failedAttemptNumber": attempt, "failureReason": why}
	value["due"] = nil
	if _, err := m.Registry.Put("Task", task.ID, value); err != nil {
		m.Log.Emit("error", "Failed to write task", "acme.error", "reason", err.Error())
	}
}

func (m *Manager) provider(domain map[string]any) map[string]any {
	management, _ := domain["certificateManagement"].(map[string]any)
	return m.Registry.Get("AcmeProvider", expr.Text(management["acmeProviderId"]))
}

var shares = map[string]float64{"R12": 1.0 / 2, "R23": 2.0 / 3, "R34": 3.0 / 4, "R45": 4.0 / 5}

// renewal is when a share of a certificate's life is over.
func renewal(provider, certificate map[string]any) time.Time {
	from, _ := time.Parse(stamp, expr.Text(certificate["notValidBefore"]))
	until, _ := time.Parse(stamp, expr.Text(certificate["notValidAfter"]))
	return from.Add(time.Duration(float64(until.Sub(from)) * shares[expr.Text(provider["renewBefore"])]))
}

func (m *Manager) retry(task registry.Object, why string) {
	value := schema.Clone(task.Value).(map[string]any)
	before, _ := task.Value["status"].(map[string]any)
	attempt, _ := before["attemptNumber"].(float64)
	due := time.Now().UTC().Add(retryAfter).Format(stamp)
	value["due"] = due
	value["status"] = map[string]any{"@type": "Retry", "createdAt": before["createdAt"], "due": due, "attemptNumber": attempt + 1, "failureReason": why}
	if _, err := m.Registry.Put("Task", task.ID, value); err != nil {
		m.Log.Emit("error", "Failed to write task", "acme.error", "reason", err.Error())
	}
}

func (m *Manager) remove(kind, id string) {
	if err := m.Registry.Remove(kind, id); err != nil {
		m.Log.Emit("error", "Data store error", "store.data-write-error", "reason", err.Error())
	}
}

// publish writes the DKIM records of domains that name them in publishRecords,
// once for each state of the keys.
func (m *Manager) publish() {
	for _, domain := range m.Registry.List("Domain") {
		management, _ := domain.Value["dnsManagement"].(map[string]any)
		wanted, _ := management["publishRecords"].(map[string]any)
		records := m.Zone.Keys(domain)
		state := fmt.Sprint(expr.Text(management["dnsServerId"]), records)
		if management["@type"] != "Automatic" || wanted["dkim"] != true || len(records) == 0 || m.published[domain.ID] == state {
			continue
		}
		m.published[domain.ID] = state
		updater, err := m.updater(domain.Value)
		if err == nil {
			err = updater.replace(records)
		}
		if err != nil {
			m.Log.Emit("error", "DNS record update failed", "dns.update-failed", "domain", expr.Text(domain.Value["name"]), "reason", err.Error())
		}
	}
}

// names are what a certificate is for: the domain and everything below it,
// unless the domain's management names something else.
func names(domain map[string]any) []string {
	name := expr.Text(domain["name"])
	management, _ := domain["certificateManagement"].(map[string]any)
	chosen, _ := management["subjectAlternativeNames"].(map[string]any)
	if len(chosen) == 0 {
		return []string{"*." + name, name}
	}
	return slices.Sorted(maps.Keys(chosen))
}
