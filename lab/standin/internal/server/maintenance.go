package server

import (
	"time"

	"tailwart.lab/standin/internal/expr"
	"tailwart.lab/standin/internal/store"
)

// maintain carries out StoreMaintenance tasks when they are due. One that is
// done vanishes; what the stand-in has nothing to do for is done at once.
func (s *Server) maintain() {
	for ; ; time.Sleep(200 * time.Millisecond) {
		for _, task := range s.reg.List("Task") {
			due, err := time.Parse(time.RFC3339, expr.Text(task.Value["due"]))
			if task.Value["@type"] != "StoreMaintenance" || err != nil || due.After(time.Now()) {
				continue
			}
			err = nil
			switch task.Value["maintenanceType"] {
			case "removeLockQueueMessage":
				err = s.queue.ReleaseLocks()
			case "resetRateLimiters":
				s.dir.ResetRates()
			}
			if err == nil {
				err = s.reg.Remove("Task", task.ID)
			}
			if err != nil {
				s.log.Emit("error", "Data store error", "store.data-write-error", "reason", store.Reason(err))
			}
		}
	}
}
