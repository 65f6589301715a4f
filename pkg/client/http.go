package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 20

// HTTP is the backend that calls an API at BaseURL, such as
// "http://127.0.0.1:8081". Client is http.DefaultClient when nil.
type HTTP struct {
	BaseURL string
	Token   string
	Client  *http.Client
}

// Do implements [Backend]. An answer that is no success becomes an *[Error]; a
// connection that fails becomes the error of the http package.
func (h *HTTP) Do(ctx context.Context, call Call, in, out any) error {
	request, err := h.request(ctx, call, in)
	if err != nil {
		return err
	}
	client := h.Client
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		fault := &Error{}
		if json.Unmarshal(body, fault) != nil || fault.Type == "" {
			fault = NewError(Unknown, "answer %s is no error body; is %s the API?", response.Status, h.BaseURL)
		}
		return fault
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}

func (h *HTTP) request(ctx context.Context, call Call, in any) (*http.Request, error) {
	path, query, body, err := encodeInput(call.Operation, in)
	if err != nil {
		return nil, fmt.Errorf("encode input: %w", err)
	}
	target := strings.TrimSuffix(h.BaseURL, "/") + path
	if query != "" {
		target += "?" + query
	}
	request, err := http.NewRequestWithContext(ctx, call.Operation.Method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	set := func(name, value string) {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	set("Authorization", "Bearer "+h.Token)
	set("Content-Type", "application/json")
	set("X-Bot-Id", call.Caller.BotID)
	set("X-Integration-Id", call.Caller.IntegrationID)
	set("X-Integration-Alias", call.Caller.Alias)
	set("Idempotency-Key", call.Identity)
	set("Traceparent", call.Delivery.TraceParent)
	return request, nil
}

// encodeInput splits an input into path, query and body as the operation says.
func encodeInput(operation *Operation, in any) (path, query string, body []byte, err error) {
	data, err := json.Marshal(in)
	if err != nil {
		return "", "", nil, err
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &fields); err != nil {
		return "", "", nil, err
	}
	path = operation.Path
	for _, f := range inputFields(operation) {
		if f.place == inPath {
			var value string
			if err := json.Unmarshal(fields[f.name], &value); err != nil {
				return "", "", nil, fmt.Errorf("%s: %w", f.name, err)
			}
			path = strings.Replace(path, "{"+f.name+"}", url.PathEscape(value), 1)
			delete(fields, f.name)
		}
	}
	if operation.Method != http.MethodGet {
		body, err = json.Marshal(fields)
		return path, "", body, err
	}
	query, err = encodeQuery(fields)
	return path, query, nil, err
}
