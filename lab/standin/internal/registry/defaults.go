package registry

import (
	"tailwart.lab/standin/internal/schema"
	"tailwart.lab/standin/internal/store"
)

// firstStart marks a store that has seen a normal start.
const firstStart = "first-normal-start"

// Defaults creates what a first normal start creates: for each kind that has
// no entry at all, its default objects. A store that was first filled in
// recovery mode therefore never gets the defaults of the kinds it has.
func (r *Registry) Defaults() error {
	seen, err := r.store.Get("meta", firstStart)
	if err != nil || seen != nil {
		return err
	}
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
	return r.store.Apply(store.Op{Space: "meta", Key: firstStart, Value: []byte(now())})
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

func listener(name, bind, protocol string, implicit, useTLS bool) map[string]any {
	return map[string]any{"name": name, "bind": map[string]any{bind: true}, "protocol": protocol, "tlsImplicit": implicit, "useTls": useTLS}
}

var defaultObjects = []struct {
	kind    string
	objects []map[string]any
}{
	{"NetworkListener", []map[string]any{
		listener("smtp", "[::]:25", "smtp", false, true),
		listener("submissions", "[::]:465", "smtp", true, true),
		listener("imaps", "[::]:993", "imap", true, true),
		listener("pop3s", "[::]:995", "pop3", true, true),
		listener("managesieve", "[::]:4190", "manageSieve", true, true),
		listener("https", "[::]:443", "http", true, true),
		listener("http", "[::]:8080", "http", false, false),
	}},
	{"MtaRoute", []map[string]any{
		{"@type": "Mx", "name": "mx"},
		{"@type": "Local", "name": "local"},
	}},
	{"Tracer", []map[string]any{{"@type": "Log", "path": "/var/log/stalwart"}}},
	{"MtaConnectionStrategy", []map[string]any{{"name": "default"}}},
	{"MtaTlsStrategy", []map[string]any{{"name": "default"}, {"name": "invalid-tls", "allowInvalidCerts": true}}},
	{"MtaVirtualQueue", []map[string]any{{"name": "local"}, {"name": "remote"}, {"name": "dsn"}, {"name": "report"}}},
	{"MtaDeliverySchedule", []map[string]any{
		{"name": "local", "queueId": "local"}, {"name": "remote", "queueId": "remote"},
		{"name": "dsn", "queueId": "dsn"}, {"name": "report", "queueId": "report"},
	}},
}
