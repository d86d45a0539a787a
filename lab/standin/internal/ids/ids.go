// Package ids makes and reads the server's identifiers: numbers written in
// base 32, either counted from 1 or taken from the clock.
package ids

import (
	"strings"
	"sync"
	"time"
)

const alphabet = "abcdefghijklmnopqrstuvwxyz792013"

// epoch is the zero of clock-made ids, in milliseconds since 1970.
const epoch = 1632280000000

// Encode writes a number as an id.
func Encode(n uint64) string {
	var out [13]byte
	i := len(out)
	for {
		i--
		out[i] = alphabet[n&31]
		n >>= 5
		if n == 0 {
			return string(out[i:])
		}
	}
}

// Decode reads an id; ok is false for text that is none.
func Decode(id string) (n uint64, ok bool) {
	if id == "" || len(id) > 13 {
		return 0, false
	}
	for _, c := range id {
		digit := strings.IndexRune(alphabet, c)
		if digit < 0 {
			return 0, false
		}
		n = n<<5 | uint64(digit)
	}
	return n, true
}

// Clock makes ids that grow with time: 43 bits of milliseconds, 12 bits of
// sequence, 9 bits of node.
type Clock struct {
	mu       sync.Mutex
	last     uint64
	sequence uint64
}

// Next returns a number that was not returned before.
func (c *Clock) Next() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := uint64(time.Now().UnixMilli() - epoch)
	if now < c.last {
		now = c.last
	}
	c.sequence = (c.sequence + 1) & 0xfff
	if c.sequence == 0 {
		now++
	}
	c.last = now
	return now<<21 | c.sequence<<9
}
