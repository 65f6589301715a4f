package dispatch

import (
	"errors"
	"io"
	"net/http"
	"strconv"
)

// Health is what an attempt's exchanges say about the platform, whatever
// became of the attempt. The last exchange decides: a handler that repeats a
// request by itself has found out that the platform is well again.
type Health int

// What can be said about a platform.
const (
	// Untouched means that nothing was exchanged with it.
	Untouched Health = iota
	// Answered means that it did its work, be it to refuse: a status below 500.
	Answered
	// Failing means that it did not: no answer, half of one, or a status of 500
	// and above.
	Failing
)

// String returns the health as one word for the log.
func (h Health) String() string {
	switch h {
	case Untouched:
		return "untouched"
	case Answered:
		return "answered"
	case Failing:
		return "failing"
	default:
		return "health " + strconv.Itoa(int(h))
	}
}

// healthOf judges one exchange by how it ended.
func healthOf(response *http.Response, err error) Health {
	if err != nil || response.StatusCode >= http.StatusInternalServerError {
		return Failing
	}
	return Answered
}

// brokeOff tells that an answer ended before its end. One that is larger than
// a handler may read was cut on this side, and one that the handler closed too.
func brokeOff(err error) bool {
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	return err != nil && !tooLarge && !errors.Is(err, io.EOF) && !errors.Is(err, http.ErrBodyReadAfterClose)
}
