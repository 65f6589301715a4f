package events

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Response is what a webhook handler answers its platform. The zero Response
// stands for 200 with an empty body.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// storedResponse is Botpress's shape of a response; see storedRequest.
type storedResponse struct {
	Status     int               `json:"status,omitempty"`
	Headers    map[string]string `json:"headers,omitempty"`
	Body       *string           `json:"body,omitempty"`
	BodyBase64 string            `json:"bodyBase64,omitempty"`
}

// MarshalJSON writes the response in Botpress's shape.
func (r *Response) MarshalJSON() ([]byte, error) {
	stored := storedResponse{Status: r.Status, Headers: map[string]string{}}
	for name, values := range r.Header {
		stored.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	stored.Body, stored.BodyBase64 = storedBody(r.Body)
	return json.Marshal(stored)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Response) UnmarshalJSON(data []byte) error {
	var stored storedResponse
	if err := json.Unmarshal(data, &stored); err != nil {
		return err
	}
	*r = Response{Status: stored.Status, Header: http.Header{}}
	for name, value := range stored.Headers {
		r.Header.Set(name, value)
	}
	var err error
	r.Body, err = bodyOf(stored.Body, stored.BodyBase64)
	return err
}

// storedBody writes a body as text where it is text, else as base64.
func storedBody(body []byte) (text *string, encoded string) {
	if !utf8.Valid(body) {
		return nil, base64.StdEncoding.EncodeToString(body)
	}
	s := string(body)
	return &s, ""
}

// bodyOf reads what storedBody wrote.
func bodyOf(text *string, encoded string) ([]byte, error) {
	if text != nil {
		return []byte(*text), nil
	}
	if encoded == "" {
		return nil, nil
	}
	body, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("decode bodyBase64: %w", err)
	}
	return body, nil
}
