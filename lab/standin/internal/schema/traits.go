package schema

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed traits.txt
var traitsFile string

// Does says whether the version behaves in a way that not all of them do. A
// panic is a name that traits.txt lacks: a mistake in this program.
func (s *Schema) Does(trait string) bool {
	for line := range strings.SplitSeq(traitsFile, "\n") {
		if words := strings.Fields(line); len(words) > 0 && words[0] == trait {
			_, holds := s.holds(words)
			return holds
		}
	}
	panic(fmt.Sprintf("unknown trait %q", trait))
}
