import TCPEngine
import TCPStack
import TCPWire

// getsockopt and setsockopt at the levels of the socket and of IP.
extension VirtualKernel {
    /// The octets of an option, at most `length` of them.
    func option(of socket: Socket, _ option: OptionName, _ length: Int) throws(Errno) -> [UInt8] {
        switch option.level {
        case Linux.SOL_SOCKET:
            if option.name == Linux.SO_LINGER {
                let linger = socket.options.linger
                return Array((bytes(linger == nil ? 0 : 1) + bytes(Int32(clamping: linger ?? 0))).prefix(length))
            }
            if option.name == Linux.SO_RCVTIMEO { return timeout(socket.options.receiveTimeout, length) }
            if option.name == Linux.SO_SNDTIMEO { return timeout(socket.options.sendTimeout, length) }
            if option.name == Linux.SO_MAX_PACING_RATE { return pacingRate(of: socket, length) }
            return Array(bytes(try socketOption(of: socket, option)).prefix(length))
        case Linux.IPPROTO_TCP: return try transportOption(of: socket, option, length)
        case Linux.IPPROTO_IP, Linux.IPPROTO_IPV6:
            return Array(bytes(try networkOption(of: socket, option)).prefix(length))
        default: throw settings.flavour == .linux ? .EOPNOTSUPP : .ENOPROTOOPT
        }
    }

    func setOption(of socket: Socket, _ option: OptionName, _ value: [UInt8]) throws(Errno) {
        switch option.level {
        case Linux.SOL_SOCKET: try setSocketOption(of: socket, option, value)
        case Linux.IPPROTO_TCP: try setTransportOption(of: socket, option, value)
        case Linux.IPPROTO_IP, Linux.IPPROTO_IPV6: try setNetworkOption(of: socket, option, value)
        default: throw .ENOPROTOOPT
        }
        applyOptions(socket)
    }

    private func applyOptions(_ socket: Socket) {
        switch socket.role {
        case .none: break
        case .listener(let id): stack.setOptions(socket.options.forListener(settings), of: id)
        case .connection(let id): stack.setOptions(id, socket.options.forConnection, at: now)
        }
    }

    /// The `int` an option is given as.
    func integer(_ value: [UInt8]) throws(Errno) -> Int32 {
        guard value.count >= 4 else { throw .EINVAL }
        var bits: UInt32 = 0
        for index in 0..<4 { bits |= UInt32(value[index]) << (8 * UInt32(index)) }
        return Int32(bitPattern: bits)
    }

    private func timeout(_ duration: Duration?, _ length: Int) -> [UInt8] {
        let microseconds = (duration?.nanoseconds ?? 0) / 1000
        return Array((long(microseconds / 1_000_000) + long(microseconds % 1_000_000)).prefix(length))
    }

    private func long(_ value: Int64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: UInt64(bitPattern: value) >> (8 * UInt64($0))) }
    }

    /// A `struct timeval`; zero is without limit.
    private func duration(_ value: [UInt8]) throws(Errno) -> Duration? {
        guard value.count >= 16 else { throw .EINVAL }
        var parts: [Int64] = []
        for start in [0, 8] {
            var bits: UInt64 = 0
            for index in 0..<8 { bits |= UInt64(value[start + index]) << (8 * UInt64(index)) }
            parts.append(Int64(bitPattern: bits))
        }
        guard (0..<1_000_000).contains(parts[1]) else { throw .EDOM }
        if parts[0] < 0 { return .zero }
        if parts[0] == 0, parts[1] == 0 { return nil }
        return .seconds(min(parts[0], 1 << 31)) + .microseconds(parts[1])
    }

    /// SO_MAX_PACING_RATE: all ones is without limit. As Linux, an `int` is filled with no more than it can hold.
    private func pacingRate(of socket: Socket, _ length: Int) -> [UInt8] {
        let rate = socket.options.maximumPacingRate ?? .max
        if length >= 8 { return long(Int64(bitPattern: rate)) }
        return Array(bytes(Int32(bitPattern: UInt32(clamping: rate))).prefix(length))
    }

    /// As an `unsigned int` or an `unsigned long`.
    private func pacingRate(_ value: [UInt8]) throws(Errno) -> UInt64? {
        let low = UInt64(UInt32(bitPattern: try integer(value)))
        guard value.count >= 8 else { return low == UInt64(UInt32.max) ? nil : low }
        let high = UInt64(UInt32(bitPattern: try integer(Array(value[4..<8]))))
        let rate = high << 32 | low
        return rate == .max ? nil : rate
    }

    // MARK: SOL_SOCKET

    private func socketOption(of socket: Socket, _ option: OptionName) throws(Errno) -> Int32 {
        let options = socket.options
        switch option.name {
        case Linux.SO_ERROR:
            let error = socket.takeError()
            if error != .none { return error.rawValue }
            // Linux tells what ICMP said of a connection that lives on (RFC 9293 SHLD-25). While it opens, a program would take
            // that for the end of its attempt.
            guard settings.flavour == .linux, !isOpening(socket) else { return 0 }
            defer { socket.softError = .none }
            return socket.softError.rawValue
        case Linux.SO_TYPE: return Linux.SOCK_STREAM
        case Linux.SO_DOMAIN: return socket.family.rawValue
        case Linux.SO_PROTOCOL: return Linux.IPPROTO_TCP
        case Linux.SO_ACCEPTCONN: return socket.listener == nil ? 0 : 1
        case Linux.SO_REUSEADDR: return options.reuseAddress ? 1 : 0
        case Linux.SO_REUSEPORT: return options.reusePort ? 1 : 0
        case Linux.SO_KEEPALIVE: return options.keepAlive ? 1 : 0
        case Linux.SO_RCVBUF: return reported(options.receiveBuffer, settings.receiveBuffer)
        case Linux.SO_SNDBUF: return reported(options.sendBuffer, settings.sendBuffer)
        case Linux.SO_RCVLOWAT: return Int32(clamping: options.receiveLowWater)
        case Linux.SO_SNDLOWAT: return settings.flavour == .linux ? 1 : 2048
        default:
            guard VirtualKernel.inertSocketOptions.contains(option.name) else { throw .ENOPROTOOPT }
            return options.inert[option] ?? 0
        }
    }

    /// Linux keeps, and reports, twice what was asked for.
    private func reported(_ own: Int?, _ common: Int) -> Int32 {
        guard let own else { return Int32(clamping: common) }
        return Int32(clamping: settings.flavour == .linux ? own * 2 : own)
    }

    /// Options about what one interface without other users has not: they are kept and given back.
    private static let inertSocketOptions: Set<Int32> = [
        Linux.SO_DEBUG, Linux.SO_DONTROUTE, Linux.SO_BROADCAST, Linux.SO_OOBINLINE, Linux.SO_PRIORITY, Linux.SO_MARK,
        Linux.SO_BUSY_POLL, Linux.SO_INCOMING_CPU,
    ]

    private func setSocketOption(of socket: Socket, _ option: OptionName, _ value: [UInt8]) throws(Errno) {
        switch option.name {
        case Linux.SO_LINGER:
            guard value.count >= 8 else { throw .EINVAL }
            let seconds = try integer(Array(value[4..<8]))
            socket.options.linger = try integer(value) == 0 ? nil : Int(max(0, seconds))
            return
        case Linux.SO_RCVTIMEO:
            socket.options.receiveTimeout = try duration(value)
            return
        case Linux.SO_SNDTIMEO:
            socket.options.sendTimeout = try duration(value)
            return
        case Linux.SO_MAX_PACING_RATE:
            socket.options.maximumPacingRate = try pacingRate(value)
            return
        default: break
        }
        let number = try integer(value)
        switch option.name {
        case Linux.SO_REUSEADDR: socket.options.reuseAddress = number != 0
        case Linux.SO_REUSEPORT: socket.options.reusePort = number != 0
        case Linux.SO_KEEPALIVE: socket.options.keepAlive = number != 0
        case Linux.SO_RCVBUF, Linux.SO_RCVBUFFORCE: socket.options.receiveBuffer = min(max(Int(number), 256), 1 << 30)
        case Linux.SO_SNDBUF, Linux.SO_SNDBUFFORCE: socket.options.sendBuffer = min(max(Int(number), 2048), 1 << 30)
        case Linux.SO_RCVLOWAT: socket.options.receiveLowWater = number < 0 ? Int(Int32.max) : max(1, Int(number))
        // Linux: not to be set.
        case Linux.SO_TYPE, Linux.SO_DOMAIN, Linux.SO_PROTOCOL, Linux.SO_ERROR, Linux.SO_ACCEPTCONN, Linux.SO_SNDLOWAT:
            throw .ENOPROTOOPT
        default:
            guard VirtualKernel.inertSocketOptions.contains(option.name) else { throw .ENOPROTOOPT }
            socket.options.inert[option] = number
        }
    }

    // MARK: IP

    private func networkOption(of socket: Socket, _ option: OptionName) throws(Errno) -> Int32 {
        try checkFamily(socket, option)
        switch (option.level, option.name) {
        case (Linux.IPPROTO_IP, Linux.IP_TOS), (Linux.IPPROTO_IPV6, Linux.IPV6_TCLASS):
            return Int32(socket.options.trafficClass)
        case (Linux.IPPROTO_IP, Linux.IP_TTL), (Linux.IPPROTO_IPV6, Linux.IPV6_UNICAST_HOPS):
            return Int32(socket.options.hopLimit ?? settings.hopLimit)
        case (Linux.IPPROTO_IP, Linux.IP_MTU), (Linux.IPPROTO_IPV6, Linux.IPV6_MTU):
            guard socket.isConnected else { throw .ENOTCONN }
            return Int32(clamping: settings.mtu)
        case (Linux.IPPROTO_IPV6, Linux.IPV6_V6ONLY): return socket.options.onlyIPv6 ? 1 : 0
        default:
            guard isInert(option) else { throw .ENOPROTOOPT }
            return socket.options.inert[option] ?? 0
        }
    }

    private func checkFamily(_ socket: Socket, _ option: OptionName) throws(Errno) {
        if option.level == Linux.IPPROTO_IPV6, socket.family == .ipv4 { throw .ENOPROTOOPT }
    }

    private func isInert(_ option: OptionName) -> Bool {
        option.level == Linux.IPPROTO_IP
            ? [Linux.IP_RECVERR, Linux.IP_MTU_DISCOVER, Linux.IP_FREEBIND, Linux.IP_BIND_ADDRESS_NO_PORT]
                .contains(option.name)
            : [Linux.IPV6_RECVERR, Linux.IPV6_MTU_DISCOVER].contains(option.name)
    }

    private func setNetworkOption(of socket: Socket, _ option: OptionName, _ value: [UInt8]) throws(Errno) {
        try checkFamily(socket, option)
        // IP takes a single octet too.
        let number = value.count == 1 && option.level == Linux.IPPROTO_IP ? Int32(value[0]) : try integer(value)
        switch (option.level, option.name) {
        case (Linux.IPPROTO_IP, Linux.IP_TOS), (Linux.IPPROTO_IPV6, Linux.IPV6_TCLASS):
            guard (-1...255).contains(number) else { throw .EINVAL }
            // RFC 3168: the ECN bits are the transport's.
            socket.options.trafficClass = UInt8(max(0, number)) & 0xFC
        case (Linux.IPPROTO_IP, Linux.IP_TTL), (Linux.IPPROTO_IPV6, Linux.IPV6_UNICAST_HOPS):
            guard number == -1 || (1...255).contains(number) else { throw .EINVAL }
            socket.options.hopLimit = number == -1 ? nil : UInt8(number)
        case (Linux.IPPROTO_IPV6, Linux.IPV6_V6ONLY):
            guard socket.bound == nil else { throw .EINVAL }
            socket.options.onlyIPv6 = number != 0
        default:
            guard isInert(option) else { throw .ENOPROTOOPT }
            socket.options.inert[option] = number
        }
    }
}
