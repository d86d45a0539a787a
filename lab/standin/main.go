// Command standin takes the place of a Stalwart server where neither an
// official image nor a binary can be had. It behaves as the recorded exchanges
// with the real server say and calls itself a stand-in everywhere.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"tailwart.lab/standin/internal/config"
	"tailwart.lab/standin/internal/schema"
	"tailwart.lab/standin/internal/server"
)

func main() {
	path := flag.String("config", "", "path of config.json, which names the data store")
	export := flag.String("export", "", "write the data store into a `directory`, one file per subspace, and exit")
	imported := flag.String("import", "", "read the data store from a `directory` that --export wrote, or one of its files, and exit")
	version := flag.Bool("version", false, "print the version and exit")
	described := flag.Bool("schema", false, "print the schema of all objects, as GET /api/schema serves it, and exit")
	flag.Parse()
	env, err := server.FromEnvironment()
	if err != nil {
		fmt.Fprintf(os.Stderr, "Stalwart stand-in: %v\n", err)
		os.Exit(1)
	}
	name := server.Name(env.Version)
	switch {
	case *version:
		fmt.Println(name)
	case *described:
		err = json.NewEncoder(os.Stdout).Encode(schema.Load(env.Version).Export())
	default:
		err = run(env, *path, *export, *imported)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%v (%s)\n", err, name)
		os.Exit(1)
	}
}

func run(env server.Environment, path, export, imported string) error {
	if path == "" {
		return fmt.Errorf("--config PATH is required")
	}
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	if export != "" || imported != "" {
		return server.Transfer(cfg, env, export, imported)
	}
	fmt.Fprintf(os.Stderr, "%s: starting; this is not the real server\n", server.Name(env.Version))
	s, err := server.Start(cfg, env)
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	return s.Stop()
}
