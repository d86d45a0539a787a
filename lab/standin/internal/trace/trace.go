// Package trace writes the server's log lines to the tracers that are
// configured: nothing appears anywhere until a tracer object says so.
package trace

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Raw is a value that is logged without quotes.
type Raw string

// Levels in order of importance.
var levels = map[string]int{"error": 0, "warn": 1, "info": 2, "debug": 3, "trace": 4}

type sink struct {
	out   io.Writer
	level int
}

// Log fans events out to the configured tracers.
type Log struct {
	mu    sync.Mutex
	sinks []sink
	files []*os.File
	// early keeps what was logged before the tracers were known.
	early []event
	ready bool
	// Heard is told about every event, whatever the tracers want.
	Heard func(code string, fields []any)
}

type event struct {
	level int
	line  string
}

// Configure replaces the tracers by those of the given x:Tracer objects.
func (l *Log) Configure(tracers []map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.files {
		f.Close()
	}
	l.sinks, l.files = nil, nil
	for _, t := range tracers {
		if enabled, _ := t["enable"].(bool); !enabled {
			continue
		}
		name, _ := t["level"].(string)
		switch t["@type"] {
		case "Stdout":
			l.sinks = append(l.sinks, sink{os.Stdout, levels[name]})
		case "Log":
			directory, _ := t["path"].(string)
			prefix, _ := t["prefix"].(string)
			path := filepath.Join(directory, prefix+"."+time.Now().UTC().Format("2006-01-02"))
			// The image may lack the directory; then this tracer writes nothing.
			if f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640); err == nil {
				l.files = append(l.files, f)
				l.sinks = append(l.sinks, sink{f, levels[name]})
			}
		}
	}
	for _, e := range l.early {
		l.write(e)
	}
	l.early, l.ready = nil, true
}

func (l *Log) write(e event) {
	for _, s := range l.sinks {
		if e.level <= s.level {
			io.WriteString(s.out, e.line)
		}
	}
}

// Info logs an event: its title, its code and alternating keys and values.
func (l *Log) Info(title, code string, fields ...any) { l.Emit("info", title, code, fields...) }

// Emit logs an event at a level.
func (l *Log) Emit(level, title, code string, fields ...any) {
	e := event{levels[level], fmt.Sprintf("%s %s %s (%s) %s\n", time.Now().UTC().Format("2006-01-02T15:04:05Z"),
		strings.ToUpper(level), title, code, Fields(fields...))}
	if l.Heard != nil {
		l.Heard(code, fields)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ready {
		l.early = append(l.early, e)
		return
	}
	l.write(e)
}

// Fields formats keys and values as the server does.
func Fields(fields ...any) string {
	parts := make([]string, 0, len(fields)/2)
	for i := 0; i+1 < len(fields); i += 2 {
		parts = append(parts, fmt.Sprintf("%s = %s", fields[i], format(fields[i+1])))
	}
	return strings.Join(parts, ", ")
}

// Text is a value as it stands in a log line, without quotes.
func Text(v any) string {
	text, err := strconv.Unquote(format(v))
	if err != nil {
		return format(v)
	}
	return text
}

func format(v any) string {
	switch v := v.(type) {
	case Raw:
		return string(v)
	case string:
		return strconv.Quote(v)
	case netip.Addr:
		return v.Unmap().String()
	case time.Time:
		return v.UTC().Format("2006-01-02T15:04:05Z")
	case time.Duration:
		return strconv.FormatInt(v.Milliseconds(), 10) + "ms"
	case []string:
		quoted := make([]string, len(v))
		for i, s := range v {
			quoted[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}
