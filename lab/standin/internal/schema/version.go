package schema

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Version is a release of the server: 0.16.7 is {0, 16, 7}.
type Version [3]int

// Default is the version that the stand-in speaks unless it is told another.
const Default = "0.16.18"

// ParseVersion reads MAJOR.MINOR.PATCH. A panic is a mistake in a description;
// what a user gives is read by ReadVersion.
func ParseVersion(text string) Version {
	v, err := ReadVersion(text)
	if err != nil {
		panic(err)
	}
	return v
}

// ReadVersion reads MAJOR.MINOR.PATCH, with or without a "v".
func ReadVersion(text string) (Version, error) {
	var v Version
	parts := strings.Split(strings.TrimPrefix(text, "v"), ".")
	if len(parts) != len(v) {
		return v, fmt.Errorf("version %q: expected three numbers like %s", text, Default)
	}
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return v, fmt.Errorf("version %q: expected three numbers like %s", text, Default)
		}
		v[i] = n
	}
	return v, nil
}

// Before says whether v is older than w.
func (v Version) Before(w Version) bool {
	for i := range v {
		if c := cmp.Compare(v[i], w[i]); c != 0 {
			return c < 0
		}
	}
	return false
}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }
