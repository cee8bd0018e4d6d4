package edge

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
)

// restError is an error as REST tells it: {"error": …}.
type restError struct {
	// Code is one of Connect's.
	Code    string `json:"code"`
	Message string `json:"message"`
	// Reason tells errors of one code apart, for machines.
	Reason string `json:"reason,omitempty"`
	// Fields are what is wrong with the request, if that is it.
	Fields        []restField `json:"fields,omitempty"`
	CorrelationID string      `json:"correlationId,omitempty"`
}

// restField is what is wrong with a field of the request.
type restField struct {
	// Field is a path like items[2].quantity.
	Field   string `json:"field"`
	Message string `json:"message"`
}

// problem is an error and its status.
type problem struct {
	status int
	error  restError
}

var noSuchRoute = &problem{http.StatusNotFound, restError{
	Code: "not_found", Reason: "NO_SUCH_ROUTE", Message: "there is nothing at this path: GET /openapi.json lists what there is",
}}

func methodNotAllowed(verbs []string) *problem {
	return &problem{http.StatusMethodNotAllowed, restError{
		Code: "unimplemented", Reason: "METHOD_NOT_ALLOWED", Message: "this path takes " + strings.Join(verbs, ", "),
	}}
}

// invalid says what is wrong with a request, or with a field of it.
func invalid(field, format string, args ...any) *problem {
	p := &problem{http.StatusBadRequest, restError{Code: "invalid_argument", Message: fmt.Sprintf(format, args...)}}
	if field != "" {
		p.error.Fields = []restField{{field, p.error.Message}}
		p.error.Message = field + " " + p.error.Message
	}
	return p
}

// statuses are those of the codes, as Connect has them.
var statuses = map[string]int{
	"canceled": 499, "unknown": 500, "invalid_argument": 400, "deadline_exceeded": 504, "not_found": 404, "already_exists": 409,
	"permission_denied": 403, "resource_exhausted": 429, "failed_precondition": 400, "aborted": 409, "out_of_range": 400, "unimplemented": 501,
	"internal": 500, "unavailable": 503, "data_loss": 500, "unauthenticated": 401,
}

// reasons are those of refusals of the door, which has none.
var reasons = map[int]string{http.StatusRequestEntityTooLarge: "BODY_TOO_LARGE"}

// connectError is an error as Connect writes it.
type connectError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Details []struct {
		Type  string `json:"type"`
		Value string `json:"value"`
	} `json:"details"`
}

// problemOf translates an error of Connect. One at the end of a stream has no status, 0.
func problemOf(status int, body []byte) *problem {
	var from connectError
	if json.Unmarshal(body, &from) != nil || statuses[from.Code] == 0 {
		return &problem{status, restError{Code: codeOf(status), Message: strings.ToLower(http.StatusText(status))}}
	}
	if status == 0 {
		status = statuses[from.Code]
	}
	p := &problem{status, restError{Code: from.Code, Message: readable(from.Message), Reason: reasons[status]}}
	for _, detail := range from.Details {
		value, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(detail.Value, "="))
		if err != nil {
			continue
		}
		switch detail.Type {
		case "google.rpc.ErrorInfo":
			var info errdetails.ErrorInfo
			if proto.Unmarshal(value, &info) == nil {
				p.error.Reason = info.GetReason()
			}
		case "buf.validate.Violations":
			var violations validate.Violations
			if proto.Unmarshal(value, &violations) == nil {
				for _, v := range violations.GetViolations() {
					p.error.Fields = append(p.error.Fields, restField{jsonPath(protovalidate.FieldPathString(v.GetField())), v.GetMessage()})
				}
			}
		}
	}
	return p
}

// codeOf returns the code of an answer that has none.
func codeOf(status int) string {
	switch status {
	case http.StatusBadRequest, http.StatusUnsupportedMediaType, http.StatusRequestURITooLong:
		return "invalid_argument"
	case http.StatusUnauthorized:
		return "unauthenticated"
	case http.StatusForbidden:
		return "permission_denied"
	case http.StatusNotFound:
		return "not_found"
	case http.StatusConflict:
		return "aborted"
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests, http.StatusRequestHeaderFieldsTooLarge:
		return "resource_exhausted"
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return "deadline_exceeded"
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return "unavailable"
	default:
		return "unknown"
	}
}

// unreadable matches what protojson says of a request, before what is wrong: the name of a Go type, and a place in a text that the
// client has not written.
var unreadable = regexp.MustCompile(`^unmarshal .*proto:[ \x{a0}](\(line \d+:\d+\): )?`)

// readable returns what is wrong in words that concern the client.
func readable(message string) string {
	if found := unreadable.FindString(message); found != "" {
		return "the request cannot be read: " + message[len(found):]
	}
	return message
}

// jsonPath writes the path of a field with the names that JSON has: cart_id becomes cartId.
func jsonPath(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '_' && i+1 < len(path) && 'a' <= path[i+1] && path[i+1] <= 'z' {
			i++
			b.WriteByte(path[i] - 'a' + 'A')
			continue
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

// text returns the body of the error, with a line break at the end.
func (p *problem) text(correlationID string) []byte {
	told := p.error
	told.CorrelationID = correlationID
	return encode(map[string]restError{"error": told})
}

// bare returns the body of the error for clients of an older contract.
func (p *problem) bare() []byte {
	return bytes.TrimSuffix(encode(map[string]string{"error": p.error.Message}), []byte("\n"))
}

func encode(value any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // Strings can be encoded.
	return b.Bytes()
}
