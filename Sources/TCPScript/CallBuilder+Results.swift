internal import TCPSockets
internal import TCPWire

extension CallBuilder {
    /// Says what is wrong with what a call brought besides its result; `nil` when all is as the script says.
    func fault(in result: CallResult, _ call: SocketCall) throws(Fault) -> String? {
        let arguments = call.arguments
        switch call.name {
        case "getsockopt": return try optionFault(result, arguments)
        case "ioctl":
            guard arguments.count > 2, arguments[2] != .ellipsis, !isInput(call) else { return nil }
            let wanted = try integer(arguments[2])
            return wanted == Int64(result.integer) ? nil : "the number is \(result.integer), not \(wanted)"
        case "accept", "accept4", "getsockname", "getpeername":
            guard arguments[1] != .ellipsis, arguments[1] != .symbol("NULL"), let got = result.address else {
                return nil
            }
            let wanted = try address(arguments[1], isLocal: call.name == "getsockname")
            return wanted == got ? nil : "the address is \(got.address) port \(got.port)"
        case "poll": return try pollFault(result, arguments[0])
        case "epoll_wait": return try epollFault(result, arguments[1])
        case "recvmsg": return try messageFault(result, arguments[1])
        default: return nil
        }
    }

    private func isInput(_ call: SocketCall) -> Bool { (try? integer(call.arguments[1])) == Int64(Linux.FIONBIO) }

    private func optionFault(_ result: CallResult, _ arguments: [Expression]) throws(Fault) -> String? {
        guard arguments[3] != .ellipsis else { return nil }
        if let fields = CallBuilder.fields(arguments[3]) {
            for (index, field) in fields.enumerated() where field.value != .ellipsis {
                let wanted = try integer(field.value)
                guard let value = value(of: field, at: index, in: result) else {
                    throw Fault(message: "the field \(field.text) is not known", isUnavailable: true)
                }
                if value != wanted { return "\(field.name ?? "a field") is \(value), not \(wanted)" }
            }
            return nil
        }
        if case .list(let elements) = arguments[3], elements.count > 1 { return nil }
        if case .list(let elements) = arguments[3], case .string(let text)? = elements.first {
            let got = String(decoding: result.option.prefix { $0 != 0 }, as: UTF8.self)
            return got == text ? nil : "the option is \"\(got)\""
        }
        if case .string(let text) = arguments[3] {
            let got = String(decoding: result.option.prefix { $0 != 0 }, as: UTF8.self)
            return got == text ? nil : "the option is \"\(got)\""
        }
        let wanted = try integer(arguments[3])
        guard let value = result.optionValue else { return "the option has \(result.option.count) octets" }
        return Int64(value) == wanted ? nil : "the option is \(value), not \(wanted)"
    }

    /// A field of a `struct linger` or a `struct tcp_info`.
    private func value(of field: Expression.Field, at index: Int, in result: CallResult) -> Int64? {
        func int(_ offset: Int) -> Int64? {
            guard result.option.count >= offset + 4 else { return nil }
            let value = result.option[offset..<offset + 4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            return Int64(Int32(bitPattern: value))
        }
        switch field.name {
        case "onoff", "l_onoff": return int(0)
        case "linger", "l_linger": return int(4)
        case let name? where name.hasPrefix("tcpi_"): return nil
        case nil: return int(4 * index)
        default: return nil
        }
    }

    private func pollFault(_ result: CallResult, _ expression: Expression) throws(Fault) -> String? {
        guard case .list(let elements) = expression, elements.count == result.polled.count else { return nil }
        for (element, got) in zip(elements, result.polled) {
            guard let fields = CallBuilder.fields(element), let wanted = CallBuilder.field("revents", fields, at: 2),
                wanted != .ellipsis
            else { continue }
            let events = Int16(truncatingIfNeeded: try integer(wanted))
            if events != got.returned {
                return "revents is \(CallBuilder.names(of: UInt32(UInt16(bitPattern: got.returned)), prefix: "POLL"))"
            }
        }
        return nil
    }

    private func epollFault(_ result: CallResult, _ expression: Expression) throws(Fault) -> String? {
        guard expression != .ellipsis else { return nil }
        var elements = [expression]
        if case .list(let list) = expression { elements = list }
        for (index, element) in elements.enumerated() where index < result.events.count {
            guard let wanted = try epollEvent(element) else { continue }
            let got = result.events[index]
            if wanted.events != got.events { return "events is \(CallBuilder.names(of: got.events, prefix: "EPOLL"))" }
            let hasData = CallBuilder.fields(element).map { $0.count > 1 } ?? false
            if hasData, wanted.data != got.data { return "the event is another descriptor's" }
        }
        return elements.count == result.events.count || elements.count == 1 && result.events.isEmpty
            ? nil : "there are \(result.events.count) events"
    }

    private func messageFault(_ result: CallResult, _ expression: Expression) throws(Fault) -> String? {
        guard let fields = CallBuilder.fields(expression) else { return nil }
        if let wanted = CallBuilder.field("msg_flags", fields), wanted != .ellipsis {
            let flags = try integer(wanted)
            if flags != Int64(result.messageFlags) { return "msg_flags is \(result.messageFlags), not \(flags)" }
        }
        guard let control = CallBuilder.field("msg_control", fields), case .list(let wanted) = control else {
            return nil
        }
        let messages = CallBuilder.controlMessages(result.control)
        guard messages.count == wanted.count else { return "there are \(messages.count) control messages" }
        for (message, element) in zip(messages, wanted) {
            guard let fields = CallBuilder.fields(element) else { continue }
            if let level = CallBuilder.field("cmsg_level", fields), try integer(level) != message.level {
                return "cmsg_level is \(message.level)"
            }
            if let type = CallBuilder.field("cmsg_type", fields), try integer(type) != message.type {
                return "cmsg_type is \(message.type)"
            }
            if let data = CallBuilder.field("cmsg_data", fields), data != .ellipsis, try integer(data) != message.data {
                return "cmsg_data is \(message.data), not \(data.text)"
            }
        }
        return nil
    }

    /// The messages in a buffer of `struct cmsghdr`, each with its data as one number.
    static func controlMessages(_ octets: [UInt8]) -> [(level: Int64, type: Int64, data: Int64)] {
        func number(_ offset: Int, _ count: Int) -> Int64 {
            octets[offset..<offset + count].reversed().reduce(Int64(0)) { $0 << 8 | Int64($1) }
        }
        var messages: [(level: Int64, type: Int64, data: Int64)] = []
        var offset = 0
        while offset + 16 <= octets.count {
            let length = Int(number(offset, 8))
            guard length >= 16, offset + length <= octets.count else { break }
            messages.append((number(offset + 8, 4), number(offset + 12, 4), number(offset + 16, min(4, length - 16))))
            offset += (length + 7) & ~7
        }
        return messages
    }

    /// Bits by their names: `POLLIN|POLLOUT`.
    static func names(of bits: UInt32, prefix: String) -> String {
        let known = ["IN", "PRI", "OUT", "ERR", "HUP", "NVAL", "RDHUP", "ET", "ONESHOT"]
        var rest = bits
        var names: [String] = []
        for name in known {
            guard let value = Linux.value(of: prefix + name), rest & UInt32(truncatingIfNeeded: value) != 0 else {
                continue
            }
            names.append(prefix + name)
            rest &= ~UInt32(truncatingIfNeeded: value)
        }
        if rest != 0 || names.isEmpty { names.append(rest == 0 ? "0" : "0x" + String(rest, radix: 16)) }
        return names.joined(separator: "|")
    }

    /// The script's arguments, with what the call brought in the place of what was expected.
    func arguments(of call: SocketCall, filledFrom result: CallResult) -> [Expression] {
        var arguments = call.arguments
        guard result.value >= 0 else { return arguments }
        switch call.name {
        case "getsockopt" where CallBuilder.fields(arguments[3]) == nil && arguments[3] != .ellipsis:
            if let value = result.optionValue { arguments[3] = .list([.integer(Int64(value), isHexadecimal: false)]) }
        case "ioctl" where arguments.count > 2 && !isInput(call):
            arguments[2] = .list([.integer(Int64(result.integer), isHexadecimal: false)])
        case "poll":
            guard case .list(let elements) = arguments[0], elements.count == result.polled.count else { break }
            arguments[0] = .list(
                zip(elements, result.polled).map { element, got in
                    guard var fields = CallBuilder.fields(element), !fields.isEmpty else { return element }
                    let bits = UInt32(UInt16(bitPattern: got.returned))
                    fields[fields.count - 1].value = .symbol(CallBuilder.names(of: bits, prefix: "POLL"))
                    return .structure(fields)
                })
        default: break
        }
        return arguments
    }
}
