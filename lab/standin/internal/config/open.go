package config

import (
	"net"
	"net/url"
	"strconv"
	"time"

	"tailwart.lab/standin/internal/store"
)

// Open opens the configured store.
func (c *Config) Open() (store.Store, error) {
	if c.Object["@type"] == "RocksDb" {
		return store.OpenBolt(Text(c.Object, "path", "/var/lib/stalwart"))
	}
	password, err := Secret(c.Object["authSecret"])
	if err != nil {
		return nil, err
	}
	u := url.URL{
		Scheme: "postgres",
		Host:   net.JoinHostPort(Text(c.Object, "host", "localhost"), strconv.Itoa(Int(c.Object, "port", 5432))),
		Path:   "/" + Text(c.Object, "database", "stalwart"),
		User:   url.UserPassword(Text(c.Object, "authUsername", "stalwart"), password),
	}
	mode := "disable"
	if Flag(c.Object, "useTls") {
		mode = "verify-full"
		if Flag(c.Object, "allowInvalidCerts") {
			mode = "require"
		}
	}
	u.RawQuery = url.Values{"sslmode": {mode}, "application_name": {"stalwart"}}.Encode()
	return store.OpenPostgres(u.String(), time.Duration(Int(c.Object, "timeout", 15000))*time.Millisecond)
}
