package ids

import "testing"

func TestRecordedIDs(t *testing.T) {
	for id, n := range map[string]uint64{"b": 1, "d333333": 1<<32 - 1, "p333333333333": 1<<64 - 1} {
		if got := Encode(n); got != id {
			t.Errorf("Encode(%d) = %s, want %s", n, got, id)
		}
		if got, ok := Decode(id); !ok || got != n {
			t.Errorf("Decode(%s) = %d", id, got)
		}
	}
	if _, ok := Decode("no id!"); ok {
		t.Error("text that is no id was decoded")
	}
}

func TestClockIDsGrowAndLookLikeTheRecordedOnes(t *testing.T) {
	var c Clock
	last := uint64(0)
	for range 10000 {
		n := c.Next()
		if n <= last {
			t.Fatalf("%d after %d", n, last)
		}
		last = n
	}
	if id := Encode(last); len(id) != 12 {
		t.Errorf("id %s has %d characters", id, len(id))
	}
}
