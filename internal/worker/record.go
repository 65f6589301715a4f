package worker

import (
	"encoding/json"
	"time"

	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/pkg/events"
)

// recordingRoom is what a recording's own headers may take, in bytes.
const recordingRoom = 16 << 10

// recordAttempt keeps what the attempt asked for and was told, so that it can be run
// again at somebody's desk. A delivery never waits for that, nor fails by it.
func (d *delivery) recordAttempt(r dispatch.Recording, began time.Time) {
	if r.Delivery == "" {
		return // it did not come to the handler
	}
	r.Worker, r.Began = d.Name, began
	data, err := json.Marshal(r)
	if err == nil && len(data) > d.Broker.MaxPayload()-recordingRoom {
		r.Calls, r.Exchanges, r.Truncated = nil, nil, true
		data, err = json.Marshal(r)
	}
	if err == nil {
		err = d.Broker.Record(d.place.Installation, d.event.ID(), events.TraceParentOf(d.event), began, data)
	}
	if err != nil {
		d.log().WithError(err).Debug("the attempt is not recorded")
	}
}
