package server

import (
	"fmt"
	"os"

	"tailwart.lab/standin/internal/blob"
	"tailwart.lab/standin/internal/config"
	"tailwart.lab/standin/internal/ids"
	"tailwart.lab/standin/internal/registry"
	"tailwart.lab/standin/internal/schema"
	"tailwart.lab/standin/internal/store"
)

// checksImports is the first version that looks for keys in the store that it
// imports into, after its own start has put one there.
var checksImports = schema.ParseVersion("0.16.15")

// Transfer does what --export and --import ask for. Bodies are where the settings
// in the store say at this start: those of an empty store say the data store,
// whatever an import brings.
func Transfer(cfg *config.Config, env Environment, export, imported string) error {
	data, err := cfg.Open()
	if err != nil {
		return fmt.Errorf("data store: %s", store.Reason(err))
	}
	defer data.Close()
	reg, err := registry.Open(schema.Load(env.Version), data, &ids.Clock{})
	if err != nil {
		return err
	}
	object := reg.Singleton("BlobStore")
	bodies := blob.New(data, func() map[string]any { return object })
	transfer := store.Transfer{Store: data, Bodies: bodies, Checks: !env.Version.Before(checksImports)}
	if export != "" {
		return transfer.Export(export, os.Getenv("EXPORT_TYPES"))
	}
	return transfer.Import(imported)
}
