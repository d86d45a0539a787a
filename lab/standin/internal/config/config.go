// Package config reads config.json, which names the data store and nothing
// else, and resolves secrets.
package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Config is the content of config.json.
type Config struct {
	// Object is the store as x:DataStore shows it.
	Object map[string]any
}

// Load reads and checks the file.
func Load(path string) (*Config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	switch object["@type"] {
	case "PostgreSql", "RocksDb":
		return &Config{object}, nil
	}
	return nil, fmt.Errorf("%s: @type is %v; this stand-in keeps its data in PostgreSql or RocksDb", path, object["@type"])
}

// Text returns a string member or a fallback.
func Text(object map[string]any, name, fallback string) string {
	if s, ok := object[name].(string); ok && s != "" {
		return s
	}
	return fallback
}

// Int returns a number member or a fallback.
func Int(object map[string]any, name string, fallback int) int {
	if n, ok := object[name].(float64); ok {
		return int(n)
	}
	return fallback
}

// Flag returns a boolean member.
func Flag(object map[string]any, name string) bool {
	b, _ := object[name].(bool)
	return b
}

// Secret resolves a SecretKey object. Messages name the variable or the file,
// never the value.
func Secret(value any) (string, error) {
	m, ok := value.(map[string]any)
	if !ok {
		// A value of a version that knows no references there.
		text, _ := value.(string)
		return text, nil
	}
	switch m["@type"] {
	case "Value", "Text":
		return Text(m, "secret", Text(m, "value", "")), nil
	case "EnvironmentVariable":
		name := Text(m, "variableName", "")
		if v, ok := os.LookupEnv(name); ok {
			return v, nil
		}
		return "", fmt.Errorf("Environment variable '%s' not found", name) //nolint:staticcheck // the server's own words
	case "File":
		path := Text(m, "filePath", "")
		raw, err := os.ReadFile(path)
		if err != nil {
			var pathErr *os.PathError
			if errors.As(err, &pathErr) {
				err = pathErr.Err
			}
			return "", fmt.Errorf("Failed to read file '%s': %w", path, err) //nolint:staticcheck // the server's own words
		}
		return strings.TrimRight(string(raw), "\r\n"), nil
	}
	return "", nil
}
