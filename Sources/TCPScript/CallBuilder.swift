internal import TCPSockets
internal import TCPWire

/// Makes a system call of what a script writes.
struct CallBuilder {
    let environment: Environment
    /// The kernel's descriptor for each of the script's.
    var descriptors: [Int64: Int32] = [:]

    /// What a script asks for that cannot be done.
    struct Fault: Error {
        var message: String
        /// Something is not here; otherwise the script is wrong.
        var isUnavailable = false
    }

    // MARK: Values

    /// A number, a constant, or constants joined by `|`.
    func integer(_ expression: Expression) throws(Fault) -> Int64 {
        switch expression {
        case .integer(let value, _): return value
        case .symbol(let name):
            if let value = Linux.value(of: name) { return Int64(value) }
            if let error = Errno(name: name) { return Int64(error.rawValue) }
            if name == "INFINITE" { return -1 }
            throw Fault(message: "the constant \(name) is not known", isUnavailable: true)
        case .union(let left, let right): return try integer(left) | integer(right)
        case .call("htons", let arguments) where arguments.count == 1,
            .call("htonl", let arguments) where arguments.count == 1:
            return try integer(arguments[0])
        case .list(let elements) where elements.count == 1: return try integer(elements[0])
        default: throw Fault(message: "a number was expected, not \(expression.text)")
        }
    }

    private func int32(_ expression: Expression) throws(Fault) -> Int32 {
        let value = try integer(expression)
        guard let result = Int32(exactly: value) ?? UInt32(exactly: value).map({ Int32(bitPattern: $0) }) else {
            throw Fault(message: "\(expression.text) does not fit an int")
        }
        return result
    }

    private func count(_ expression: Expression) throws(Fault) -> Int {
        let value = try integer(expression)
        guard (0...(1 << 30)).contains(value) else { throw Fault(message: "\(expression.text) is no size of a buffer") }
        return Int(value)
    }

    /// The kernel's descriptor for the script's. One that was never given stays what it is, for calls that must fail.
    func descriptor(_ expression: Expression) throws(Fault) -> Int32 {
        let value = try integer(expression)
        return descriptors[value] ?? Int32(truncatingIfNeeded: value >= 0 ? value + 10_000 : value)
    }

    /// The fields of a structure; `nil` when it is none.
    static func fields(_ expression: Expression) -> [Expression.Field]? {
        switch expression {
        case .structure(let fields): fields
        case .list(let elements) where elements.count == 1: fields(elements[0])
        default: nil
        }
    }

    static func field(_ name: String, _ fields: [Expression.Field], at index: Int? = nil) -> Expression? {
        if let field = fields.first(where: { $0.name == name }) { return field.value }
        guard let index, index < fields.count, fields[index].name == nil else { return nil }
        return fields[index].value
    }

    // MARK: Addresses

    /// `...`, or `{sa_family = AF_INET, sin_port = htons(80), sin_addr = inet_addr("10.0.0.1")}`.
    func address(_ expression: Expression, isLocal: Bool) throws(Fault) -> SocketAddress {
        let address = isLocal ? environment.local : environment.remote
        let port = isLocal ? environment.localPort : environment.remotePort
        guard expression != .ellipsis else { return sockaddr(address, port) }
        guard let fields = CallBuilder.fields(expression) else {
            throw Fault(message: "an address was expected, not \(expression.text)")
        }
        var result = sockaddr(address, port)
        if let family = CallBuilder.field("sa_family", fields) {
            let number = try integer(family)
            guard let known = AddressFamily(rawValue: Int32(truncatingIfNeeded: number)) else {
                throw Fault(message: "the address family \(family.text) is not here", isUnavailable: true)
            }
            result.family = known
        }
        let wanted = CallBuilder.field("sin_port", fields) ?? CallBuilder.field("sin6_port", fields)
        if let wanted, wanted != .ellipsis {
            guard let number = UInt16(exactly: try integer(wanted)) else {
                throw Fault(message: "\(wanted.text) is no port")
            }
            result.port = number
        }
        if let text = CallBuilder.field("sin_addr", fields) ?? CallBuilder.field("sin6_addr", fields) {
            result.address = try ip(text, result.family) ?? result.address
        }
        return result
    }

    func sockaddr(_ address: IPAddress, _ port: UInt16) -> SocketAddress {
        environment.family == .mapped
            ? SocketAddress(family: .ipv6, address: address, port: port) : SocketAddress(address, port: port)
    }

    /// `inet_addr("10.0.0.1")`, `inet6_addr("::1")`, INADDR_ANY; `nil` is `...`.
    private func ip(_ expression: Expression, _ family: AddressFamily) throws(Fault) -> IPAddress? {
        switch expression {
        case .ellipsis: return nil
        case .symbol("INADDR_ANY"), .symbol("in6addr_any"), .symbol("INADDR6_ANY"):
            return family == .ipv4 ? IPAddress(ipv4: 0) : IPAddress(high: 0, low: 0)
        case .call(_, let arguments) where arguments.count == 1:
            if case .string(let text) = arguments[0], let address = IPAddress(text) { return address }
        case .string(let text): if let address = IPAddress(text) { return address }
        default: break
        }
        throw Fault(message: "an IP address was expected, not \(expression.text)")
    }

    // MARK: Buffers

    /// The sizes of `[{..., 100}, {..., 200}]`.
    private func sizes(_ expression: Expression) throws(Fault) -> [Int] {
        guard case .list(let vectors) = expression else {
            throw Fault(message: "a list of buffers was expected, as [{..., 100}], not \(expression.text)")
        }
        var sizes: [Int] = []
        for vector in vectors {
            guard let fields = CallBuilder.fields(vector), let length = CallBuilder.field("iov_len", fields, at: 1)
            else {
                throw Fault(message: "a buffer was expected, as {..., 100}, not \(vector.text)")
            }
            sizes.append(try count(length))
        }
        return sizes
    }

    /// `count` octets of the stream from `offset` on; a text in quotation marks gives its own.
    private func octets(_ expression: Expression, count: Int, from offset: Int) -> [UInt8] {
        guard case .string(let text) = expression else { return Payload.octets(from: offset, count: count) }
        let octets = Array(text.utf8.prefix(count))
        return octets + [UInt8](repeating: 0, count: count - octets.count)
    }

    private func vectors(_ expression: Expression, from offset: Int) throws(Fault) -> [[UInt8]] {
        var place = offset
        var result: [[UInt8]] = []
        for size in try sizes(expression) {
            result.append(Payload.octets(from: place, count: size))
            place += size
        }
        return result
    }

    // MARK: Calls

    /// - Parameter offset: octets that were written to the descriptor before.
    func systemCall(_ call: SocketCall, offset: Int) throws(Fault) -> SystemCall {
        let arguments = call.arguments
        func need(_ counts: ClosedRange<Int>) throws(Fault) {
            guard counts.contains(arguments.count) else {
                throw Fault(message: "\(call.name) takes \(counts.lowerBound) arguments, not \(arguments.count)")
            }
        }
        switch call.name {
        case "socket":
            try need(3...3)
            let family: Int32 = environment.family == .ipv4 ? Linux.AF_INET : Linux.AF_INET6
            return .socket(
                domain: arguments[0] == .ellipsis ? family : try int32(arguments[0]), type: try int32(arguments[1]),
                protocol: arguments[2] == .ellipsis ? 0 : try int32(arguments[2]))
        case "bind":
            try need(3...3)
            return .bind(try descriptor(arguments[0]), try address(arguments[1], isLocal: true))
        case "listen":
            try need(2...2)
            return .listen(try descriptor(arguments[0]), backlog: try int32(arguments[1]))
        case "accept", "accept4":
            try need(call.name == "accept" ? 3...3 : 4...4)
            return .accept(try descriptor(arguments[0]), flags: call.name == "accept" ? 0 : try int32(arguments[3]))
        case "connect":
            try need(3...3)
            return .connect(try descriptor(arguments[0]), try address(arguments[1], isLocal: false))
        case "getsockname", "getpeername":
            try need(3...3)
            let number = try descriptor(arguments[0])
            return call.name == "getsockname" ? .getsockname(number) : .getpeername(number)
        case "close":
            try need(1...1)
            return .close(try descriptor(arguments[0]))
        case "shutdown":
            try need(2...2)
            return .shutdown(try descriptor(arguments[0]), how: try int32(arguments[1]))
        default:
            if let transfer = try transfer(call, offset: offset, need) { return transfer }
            return try control(call, need)
        }
    }

    private func transfer(
        _ call: SocketCall, offset: Int, _ need: (ClosedRange<Int>) throws(Fault) -> Void
    ) throws(Fault) -> SystemCall? {
        let arguments = call.arguments
        switch call.name {
        case "read":
            try need(3...3)
            return .read(try descriptor(arguments[0]), count: try count(arguments[2]))
        case "readv":
            try need(3...3)
            return .readv(try descriptor(arguments[0]), counts: try sizes(arguments[1]))
        case "recv":
            try need(4...4)
            return .recv(
                try descriptor(arguments[0]), count: try count(arguments[2]), flags: try int32(arguments[3]))
        case "recvfrom":
            try need(6...6)
            return .recv(
                try descriptor(arguments[0]), count: try count(arguments[2]), flags: try int32(arguments[3]))
        case "recvmsg":
            try need(3...3)
            let message = try message(arguments[1])
            return .recvmsg(
                try descriptor(arguments[0]), counts: try sizes(message.vectors),
                controlRoom: message.hasControl ? 512 : 0,
                flags: try int32(arguments[2]))
        case "write":
            try need(3...3)
            let size = try count(arguments[2])
            return .write(try descriptor(arguments[0]), octets(arguments[1], count: size, from: offset))
        case "writev":
            try need(3...3)
            return .writev(try descriptor(arguments[0]), try vectors(arguments[1], from: offset))
        case "send":
            try need(4...4)
            let size = try count(arguments[2])
            return .send(
                try descriptor(arguments[0]), octets(arguments[1], count: size, from: offset),
                flags: try int32(arguments[3]))
        case "sendto":
            try need(6...6)
            let size = try count(arguments[2])
            return .send(
                try descriptor(arguments[0]), octets(arguments[1], count: size, from: offset),
                flags: try int32(arguments[3]),
                to: arguments[4] == .symbol("NULL") || arguments[4] == .integer(0, isHexadecimal: false)
                    ? nil : try address(arguments[4], isLocal: false))
        case "sendmsg":
            try need(3...3)
            return .sendmsg(
                try descriptor(arguments[0]), try vectors(try message(arguments[1]).vectors, from: offset),
                flags: try int32(arguments[2]))
        case "splice":
            try need(6...6)
            return .splice(
                from: try descriptor(arguments[0]), to: try descriptor(arguments[2]), count: try count(arguments[4]),
                flags: try int32(arguments[5]))
        default: return nil
        }
    }

    private func message(_ expression: Expression) throws(Fault) -> (vectors: Expression, hasControl: Bool) {
        guard let fields = CallBuilder.fields(expression), let vectors = CallBuilder.field("msg_iov", fields) else {
            throw Fault(message: "a message was expected, as {msg_name(...)=..., msg_iov(1)=[{..., 100}], msg_flags=0}")
        }
        return (vectors, CallBuilder.field("msg_control", fields) != nil)
    }

    private func control(
        _ call: SocketCall, _ need: (ClosedRange<Int>) throws(Fault) -> Void
    ) throws(Fault) -> SystemCall {
        let arguments = call.arguments
        switch call.name {
        case "fcntl":
            try need(2...3)
            return .fcntl(
                try descriptor(arguments[0]), command: try int32(arguments[1]),
                argument: arguments.count > 2 ? try int32(arguments[2]) : 0)
        case "ioctl":
            try need(2...3)
            let request = UInt(truncatingIfNeeded: try integer(arguments[1]))
            let hasInput = request == Linux.FIONBIO && arguments.count > 2
            return .ioctl(
                try descriptor(arguments[0]), request: request, argument: hasInput ? try int32(arguments[2]) : 0)
        case "getsockopt":
            try need(5...5)
            let length = arguments[4] == .ellipsis ? 4 : try count(arguments[4])
            // A structure comes whole whatever the script says of its length.
            let room = CallBuilder.fields(arguments[3]) == nil ? length : max(length, TCPInfo.size)
            return .getsockopt(
                try descriptor(arguments[0]), level: try int32(arguments[1]), name: try int32(arguments[2]),
                length: room)
        case "setsockopt":
            try need(5...5)
            return .setsockopt(
                try descriptor(arguments[0]), level: try int32(arguments[1]), name: try int32(arguments[2]),
                value: try option(arguments[3], length: try count(arguments[4])))
        case "poll":
            try need(3...3)
            return .poll(try pollDescriptors(arguments[0]), timeout: try int32(arguments[2]))
        case "epoll_create", "epoll_create1":
            try need(1...1)
            return .epollCreate(flags: call.name == "epoll_create1" ? try int32(arguments[0]) : 0)
        case "epoll_ctl":
            try need(4...4)
            return .epollControl(
                try descriptor(arguments[0]), operation: try int32(arguments[1]),
                descriptor: try descriptor(arguments[2]), event: try epollEvent(arguments[3]))
        case "epoll_wait":
            try need(4...4)
            return .epollWait(
                try descriptor(arguments[0]), maximum: Int(try int32(arguments[2])), timeout: try int32(arguments[3]))
        case "pipe", "pipe2":
            try need(call.name == "pipe" ? 1...1 : 2...2)
            return .pipe(flags: call.name == "pipe" ? 0 : try int32(arguments[1]))
        default: throw Fault(message: "the system call \(call.name) is not here", isUnavailable: true)
        }
    }

    /// An option's value: `[1]`, `{onoff=1, linger=5}`, a text, or numbers side by side.
    private func option(_ expression: Expression, length: Int) throws(Fault) -> [UInt8] {
        var octets: [UInt8]
        switch expression {
        case .string(let text): octets = Array(text.utf8)
        case .structure(let fields):
            octets = []
            for field in fields { octets += CallBuilder.octets(of: try integer(field.value)) }
            if fields.contains(where: { $0.name?.hasPrefix("tv_") == true }) {
                octets = []
                for field in fields { octets += CallBuilder.octets(of: try integer(field.value), count: 8) }
            }
        case .list(let elements):
            if elements.count == 1, case .structure = elements[0] { return try option(elements[0], length: length) }
            octets = []
            for element in elements {
                if case .string(let text) = element {
                    octets += Array(text.utf8)
                } else {
                    octets += CallBuilder.octets(of: try integer(element))
                }
            }
        case .ellipsis: octets = []
        default: octets = CallBuilder.octets(of: try integer(expression))
        }
        guard length <= 4096 else { throw Fault(message: "an option has at most 4096 octets") }
        if octets.count < length { octets += [UInt8](repeating: 0, count: length - octets.count) }
        return Array(octets.prefix(length))
    }

    static func octets(of value: Int64, count: Int = 4) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * Int64($0))) }
    }

    func pollDescriptors(_ expression: Expression) throws(Fault) -> [PollDescriptor] {
        guard case .list(let elements) = expression else {
            throw Fault(message: "a list was expected, as [{fd=4, events=POLLIN, revents=0}], not \(expression.text)")
        }
        var result: [PollDescriptor] = []
        for element in elements {
            guard let fields = CallBuilder.fields(element), let number = CallBuilder.field("fd", fields, at: 0),
                let events = CallBuilder.field("events", fields, at: 1)
            else { throw Fault(message: "{fd=…, events=…, revents=…} was expected, not \(element.text)") }
            result.append(
                PollDescriptor(try descriptor(number), events: Int16(truncatingIfNeeded: try integer(events))))
        }
        return result
    }

    /// `{events=EPOLLIN, fd=4}`; `nil` is NULL, or `...`.
    func epollEvent(_ expression: Expression) throws(Fault) -> EpollEvent? {
        guard let fields = CallBuilder.fields(expression) else { return nil }
        guard let events = CallBuilder.field("events", fields, at: 0) else {
            throw Fault(message: "{events=…, fd=…} was expected, not \(expression.text)")
        }
        var data: UInt64 = 0
        if let number = CallBuilder.field("fd", fields, at: 1) {
            data = UInt64(UInt32(bitPattern: try descriptor(number)))
        } else if let number = ["u32", "u64", "ptr"].lazy.compactMap({ CallBuilder.field($0, fields) }).first {
            data = UInt64(bitPattern: try integer(number))
        }
        return EpollEvent(events: UInt32(truncatingIfNeeded: try integer(events)), data: data)
    }
}
