// The policy server's formatter as a command: HuJSON from standard input, formatted, to standard output.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/tailscale/hujson"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err == nil {
		text, err = hujson.Format(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Stdout.Write(text)
}
