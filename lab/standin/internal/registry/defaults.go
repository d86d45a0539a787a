package registry

import "tailwart.lab/standin/internal/schema"

// Defaults creates what every normal start creates: for each kind that has no
// entry at all, its default objects. A store that was first filled in recovery
// mode therefore never gets the defaults of the kinds it has.
func (r *Registry) Defaults() error {
	for _, d := range defaultObjects {
		if len(r.List(d.kind)) > 0 {
			continue
		}
		for _, input := range d.objects {
			if err := r.putDefault(r.Schema.Kinds[d.kind], input); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Registry) putDefault(k *schema.Kind, input map[string]any) error {
	if name, ok := input["queueId"].(string); ok {
		queue, found := r.Find("MtaVirtualQueue", name)
		if !found {
			return nil
		}
		input = schema.Clone(input).(map[string]any)
		input["queueId"] = queue.ID
	}
	value, patchErr := r.Schema.Create(&k.Shape, input)
	if patchErr != nil {
		return patchErr
	}
	_, err := r.Put(k.Name, "", value)
	return err
}

func listener(name, bind, protocol string, implicit bool) map[string]any {
	return map[string]any{"name": name, "bind": map[string]any{bind: true}, "protocol": protocol, "tlsImplicit": implicit}
}

func rate(count, period float64) map[string]any {
	return map[string]any{"count": count, "period": period}
}

var defaultObjects = []struct {
	kind    string
	objects []map[string]any
}{
	{"NetworkListener", []map[string]any{
		listener("smtp", "[::]:25", "smtp", false),
		listener("submissions", "[::]:465", "smtp", true),
		listener("imaps", "[::]:993", "imap", true),
		listener("pop3s", "[::]:995", "pop3", true),
		listener("sieve", "[::]:4190", "manageSieve", false),
		listener("https", "[::]:443", "http", true),
		listener("http", "[::]:8080", "http", false),
	}},
	{"MtaRoute", []map[string]any{
		{"@type": "Mx", "name": "mx"},
		{"@type": "Local", "name": "local"},
	}},
	{"Tracer", []map[string]any{{"@type": "Log", "path": "/var/log/stalwart", "prefix": "stalwart.log", "ansi": false}}},
	{"Application", []map[string]any{{
		"description": "Stalwart Web Interface", "resourceUrl": "https://github.com/stalwartlabs/webui/releases/latest/download/webui.zip",
		"urlPrefix": map[string]any{"/admin": true, "/account": true}, "autoUpdateFrequency": float64(2592000000),
	}}},
	{"MtaQueueQuota", []map[string]any{{"description": "Global queue quota", "messages": float64(100000), "size": float64(10737418240)}}},
	{"MtaInboundThrottle", []map[string]any{
		{"description": "Sender IP throttle", "key": map[string]any{"remoteIp": true}, "rate": rate(5, 1000)},
		{"description": "Sender address to recipient throttle", "key": map[string]any{"senderDomain": true, "rcpt": true}, "rate": rate(25, 3600000)},
	}},
	{"MtaConnectionStrategy", []map[string]any{{"name": "default"}}},
	{"MtaTlsStrategy", []map[string]any{{"name": "default"}, {"name": "invalid-tls", "allowInvalidCerts": true}}},
	{"MtaVirtualQueue", []map[string]any{{"name": "local"}, {"name": "remote"}, {"name": "dsn"}, {"name": "report"}}},
	{"MtaDeliverySchedule", []map[string]any{
		{"name": "local", "queueId": "local"}, {"name": "remote", "queueId": "remote"},
		{"name": "dsn", "queueId": "dsn"}, {"name": "report", "queueId": "report"},
	}},
}
