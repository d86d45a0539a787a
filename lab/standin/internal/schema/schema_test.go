package schema

import (
	"testing"
)

func TestEveryDescriptionLoadsAndItsDefaultsAreValid(t *testing.T) {
	s := Load(ParseVersion(Default))
	for name, kind := range s.Kinds {
		// A task's dates are set when it is created, so its defaults alone are no valid object.
		if name == "Task" {
			continue
		}
		for _, v := range kind.Variants {
			value := s.New(&kind.Shape, v)
			for _, p := range v.Props {
				if p.Server || p.Required || value[p.Name] == nil || value[p.Name] == UnsetID || value[p.Name] == "" {
					continue
				}
				if _, err := s.convert(p.Type, nil, value[p.Name], p.Name); err != nil {
					t.Errorf("x:%s @%s: default of %s: %v", name, v.Name, p.Name, err)
				}
			}
		}
	}
}

func TestPatchByPath(t *testing.T) {
	s := Load(ParseVersion(Default))
	kind := s.Kind("NetworkListener")
	value, err := s.Create(&kind.Shape, map[string]any{"name": "smtp", "bind": map[string]any{"[::]:25": true}})
	if err != nil {
		t.Fatal(err)
	}
	value, err = s.Update(&kind.Shape, value, map[string]any{"overrideProxyTrustedNetworks/100.64.0.0~110": true})
	if err != nil {
		t.Fatal(err)
	}
	if networks := value["overrideProxyTrustedNetworks"].(map[string]any); networks["100.64.0.0/10"] != true {
		t.Errorf("networks = %v", networks)
	}
	if _, err = s.Update(&kind.Shape, value, map[string]any{"name": "other"}); err == nil || err.Description != "Cannot modify read-only property" {
		t.Errorf("renaming: %v", err)
	}
}

func TestAnotherTypeStartsFromItsDefaults(t *testing.T) {
	s := Load(ParseVersion(Default))
	kind := s.Kind("InMemoryStore")
	value := s.New(&kind.Shape, kind.Variants[0])
	value, err := s.Update(&kind.Shape, value, map[string]any{"@type": "Redis", "url": "redis://host:6379/3"})
	if err != nil {
		t.Fatal(err)
	}
	if value["timeout"] != float64(10000) || value["url"] != "redis://host:6379/3" {
		t.Errorf("value = %v", value)
	}
}
