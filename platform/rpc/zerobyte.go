package rpc

import (
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
)

// ReasonZeroByte is the reason of an invalid_argument error about a text with a zero byte, which PostgreSQL cannot keep. It is found
// out by the database, so that no call has to look for what hardly ever is there.
const ReasonZeroByte = "ZERO_BYTE"

// locateZeroByte adds to such an error where in the request the text is; the first of several, in the order of the contract.
func locateZeroByte(err error, request proto.Message) error {
	if err == nil || connect.CodeOf(err) != connect.CodeInvalidArgument || Reason(err) != ReasonZeroByte {
		return err
	}
	path := ""
	_ = protorange.Options{Stable: true}.Range(request.ProtoReflect(), func(p protopath.Values) error {
		if text, ok := p.Index(-1).Value.Interface().(string); ok && strings.ContainsRune(text, 0) {
			path = strings.TrimPrefix(p.Path[1:].String(), ".")
			return protorange.Terminate
		}
		return nil
	}, nil)
	if path == "" {
		return err
	}
	return Errorf(connect.CodeInvalidArgument, ReasonZeroByte, "%s: must not have a zero byte", path)
}
