package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
)

type place int

const (
	inBody place = iota
	inPath
	inQuery
)

type inputField struct {
	name  string
	place place
	kind  reflect.Kind
}

// inputFields reads off an operation's input type where each field travels.
func inputFields(operation *Operation) []inputField {
	t := reflect.TypeOf(operation.NewInput()).Elem()
	fields := make([]inputField, 0, t.NumField())
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		f := inputField{name: name, kind: field.Type.Kind()}
		switch {
		case field.Tag.Get("in") == "path":
			f.place = inPath
		case operation.Method == http.MethodGet:
			f.place = inQuery
		}
		fields = append(fields, f)
	}
	return fields
}

// encodeQuery writes fields the way Botpress's client does: lists as repeated
// names, maps as name.key.
func encodeQuery(fields map[string]json.RawMessage) (string, error) {
	query := url.Values{}
	for name, raw := range fields {
		var value any
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.UseNumber()
		if err := decoder.Decode(&value); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		switch value := value.(type) {
		case []any:
			for _, item := range value {
				query.Add(name, fmt.Sprint(item))
			}
		case map[string]any:
			for key, item := range value {
				query.Set(name+"."+key, fmt.Sprint(item))
			}
		case nil:
		default:
			query.Set(name, fmt.Sprint(value))
		}
	}
	return query.Encode(), nil
}

// DecodeInput reads an operation's input out of an HTTP request: path gives
// the unescaped values of the path's names. Errors are of type InvalidPayload
// and name the field. Unknown fields of the body are dropped, as Botpress
// does, so that newer clients go on working.
func DecodeInput(operation *Operation, path func(name string) string, query url.Values, body io.Reader) (any, error) {
	in := operation.NewInput()
	if operation.Method != http.MethodGet {
		if err := decodeBody(body, in); err != nil {
			return nil, err
		}
	}
	placed := map[string]any{}
	for _, f := range inputFields(operation) {
		switch f.place {
		case inPath:
			placed[f.name] = path(f.name)
		case inQuery:
			value, err := queryValue(f, query)
			if err != nil {
				return nil, err
			}
			if value != nil {
				placed[f.name] = value
			}
		case inBody:
		}
	}
	data, err := json.Marshal(placed)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, in); err != nil {
		return nil, NewError(InvalidPayload, "%s", describe(err))
	}
	return in, nil
}

func decodeBody(body io.Reader, in any) error {
	data, err := io.ReadAll(body)
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return NewError(PayloadTooLarge, "request body is larger than this API takes")
		}
		return NewError(InvalidPayload, "request body ended early")
	}
	if len(bytes.TrimSpace(data)) == 0 {
		data = []byte("{}")
	}
	if err := json.Unmarshal(data, in); err != nil {
		return NewError(InvalidPayload, "request body: %s", describe(err))
	}
	return nil
}

func queryValue(f inputField, query url.Values) (any, error) {
	switch f.kind {
	case reflect.Map:
		values := map[string]string{}
		for key, all := range query {
			if name, ok := strings.CutPrefix(key, f.name+"."); ok {
				values[name] = all[0]
			}
		}
		if len(values) == 0 {
			return nil, nil
		}
		return values, nil
	case reflect.Slice:
		if all, ok := query[f.name]; ok {
			return all, nil
		}
		return nil, nil
	case reflect.Int, reflect.Int64:
		if !query.Has(f.name) {
			return nil, nil
		}
		n, err := strconv.ParseInt(query.Get(f.name), 10, 64)
		if err != nil {
			return nil, NewError(InvalidQuery, "%s must be a whole number", f.name)
		}
		return n, nil
	default:
		if !query.Has(f.name) {
			return nil, nil
		}
		return query.Get(f.name), nil
	}
}

// describe puts a JSON error into words without Go's type names.
func describe(err error) string {
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("%s must not be a %s", mismatch.Field, mismatch.Value)
	}
	if date, ok := errors.AsType[*time.ParseError](err); ok {
		return date.Value + " is no date of RFC 3339"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}
