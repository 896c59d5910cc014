import TCPEngine
import TCPStack
import TCPWire

// socket, bind, listen, accept, connect, getsockname, getpeername.
extension VirtualKernel {
    func makeSocket(_ domain: Int32, _ type: Int32, _ number: Int32) throws(Errno) -> CallResult {
        guard let family = AddressFamily(rawValue: domain) else { throw .EAFNOSUPPORT }
        guard type & ~(0xF | Linux.SOCK_NONBLOCK | Linux.SOCK_CLOEXEC) == 0 else { throw .EINVAL }
        switch type & 0xF {
        case Linux.SOCK_STREAM: guard number == 0 || number == Linux.IPPROTO_TCP else { throw .EPROTONOSUPPORT }
        // Datagrams are a protocol this kernel has not.
        case Linux.SOCK_DGRAM: throw .EPROTONOSUPPORT
        default: throw .ESOCKTNOSUPPORT
        }
        let socket = Socket(family: family)
        socket.options = SocketOptions(settings)
        socket.isNonBlocking = type & Linux.SOCK_NONBLOCK != 0
        socket.closesOnExec = type & Linux.SOCK_CLOEXEC != 0
        return CallResult(Int(try install(.socket(socket))))
    }

    // MARK: bind

    func bind(_ socket: Socket, _ address: SocketAddress) throws(Errno) -> CallResult {
        guard address.family == socket.family else {
            // Linux: too short an address for an IPv6 socket, a family of its own for an IPv4 one.
            throw socket.family == .ipv6 ? .EINVAL : .EAFNOSUPPORT
        }
        guard case .none = socket.role, socket.bound == nil else { throw .EINVAL }
        if !address.address.isUnspecified {
            if socket.options.onlyIPv6, address.address.isIPv4, socket.family == .ipv6 { throw .EINVAL }
            guard stack.hasAddress(address.address) else { throw .EADDRNOTAVAIL }
        }
        var address = address
        if address.port == 0 {
            address.port = try freePort(socket, address)
        } else if isTaken(address, for: socket) {
            throw .EADDRINUSE
        }
        socket.bound = address
        return CallResult(0)
    }

    /// Whether another socket's use of the port excludes this one.
    private func isTaken(_ address: SocketAddress, for socket: Socket) -> Bool {
        for case .socket(let other) in descriptors.values where other !== socket {
            guard let bound = other.bound, bound.port == address.port, overlaps(address, socket, bound, other) else {
                continue
            }
            if socket.options.reusePort, other.options.reusePort { continue }
            if socket.options.reuseAddress, other.options.reuseAddress, other.listener == nil { continue }
            return true
        }
        guard !socket.options.reuseAddress else { return false }
        // Connections that no descriptor names any more, TIME-WAIT above all.
        return stack.flows().contains {
            $0.local.port == address.port && (address.address.isUnspecified || address.address == $0.local.address)
        }
    }

    private func overlaps(_ one: SocketAddress, _ socket: Socket, _ two: SocketAddress, _ other: Socket) -> Bool {
        let families = serves(socket).intersection(serves(other))
        if families.isEmpty { return false }
        return one.address.isUnspecified || two.address.isUnspecified || one.address == two.address
    }

    /// The families of the connections a socket can have.
    func serves(_ socket: Socket) -> AddressFamilies {
        if socket.family == .ipv4 { return .ipv4 }
        if socket.options.onlyIPv6 { return .ipv6 }
        if let bound = socket.bound, !bound.address.isUnspecified { return bound.address.isIPv4 ? .ipv4 : .ipv6 }
        return [.ipv4, .ipv6]
    }

    private func freePort(_ socket: Socket, _ address: SocketAddress) throws(Errno) -> UInt16 {
        let range = settings.ephemeralPorts
        // RFC 6056: not one after the other.
        var state = settings.seed &+ UInt64(descriptors.count) &* 0x9E37_79B9_7F4A_7C15
        state ^= state >> 29
        let first = Int(state % UInt64(range.count))
        for step in 0..<range.count {
            var candidate = address
            candidate.port = range.lowerBound + UInt16((first + step) % range.count)
            if !isTaken(candidate, for: socket) { return candidate.port }
        }
        throw .EADDRINUSE
    }

    // MARK: listen and accept

    func listen(_ socket: Socket, _ backlog: Int) throws(Errno) -> CallResult {
        // Linux lets one more connection wait than was asked for, and takes a negative number for its greatest.
        let limit = min(backlog < 0 ? Int(Linux.SOMAXCONN) : backlog, Int(Linux.SOMAXCONN)) + 1
        if let id = socket.listener {
            stack.setBacklog(limit, of: id)
            return CallResult(0)
        }
        guard case .none = socket.role else { throw .EINVAL }
        if socket.bound == nil { try bindAnywhere(socket) }
        guard let bound = socket.bound else { throw .EINVAL }
        do throws(OpenError) {
            let id = try stack.listen(
                on: bound.port, address: bound.address.isUnspecified ? nil : bound.address, families: serves(socket),
                backlog: limit, options: socket.options.forListener(settings), at: now)
            socket.role = .listener(id)
            listeners[id] = socket
        } catch {
            switch error {
            case .noMemory: throw .ENOBUFS
            case .noLocalAddress, .invalidAddress, .noRoute: throw .EADDRNOTAVAIL
            case .addressInUse, .noPortLeft: throw .EADDRINUSE
            }
        }
        return CallResult(0)
    }

    private func bindAnywhere(_ socket: Socket) throws(Errno) {
        let any = IPAddress(ipv4: 0)
        var address = SocketAddress(
            family: socket.family, address: socket.family == .ipv4 ? any : IPAddress(high: 0, low: 0), port: 0)
        address.port = try freePort(socket, address)
        socket.bound = address
    }

    func accept(_ socket: Socket, _ flags: Int32, _ pending: PendingCall) throws(Errno) -> CallResult? {
        guard flags & ~(Linux.SOCK_NONBLOCK | Linux.SOCK_CLOEXEC) == 0, let listener = socket.listener else {
            throw .EINVAL
        }
        guard let id = nextAccepted(socket, listener) else {
            guard mayWait(pending, nonBlocking: socket.isNonBlocking, for: socket.options.receiveTimeout) else {
                throw .EAGAIN
            }
            return nil
        }
        guard let status = stack.status(of: id) else { throw .ECONNABORTED }
        let new = Socket(family: socket.family)
        new.options = socket.options
        new.isNonBlocking =
            flags & Linux.SOCK_NONBLOCK != 0 || settings.flavour == .freeBSD && socket.isNonBlocking
        new.closesOnExec = flags & Linux.SOCK_CLOEXEC != 0
        new.role = .connection(id)
        new.isConnected = true
        new.bound = SocketAddress(family: socket.family, address: status.local.address, port: status.local.port)
        connections[id] = new
        do {
            var result = CallResult(Int(try install(.socket(new))))
            result.address = SocketAddress(
                family: socket.family, address: status.remote.address, port: status.remote.port)
            return result
        } catch {
            connections[id] = nil
            stack.abort(id, at: now)
            throw error
        }
    }

    /// The connection `accept` gives. With TCP_DEFER_ACCEPT those wait, for a time, that have nothing to read yet.
    private func nextAccepted(_ socket: Socket, _ listener: ListenerID) -> ConnectionID? {
        guard socket.options.deferAccept > 0 || !socket.deferred.isEmpty else { return stack.accept(listener) }
        collectDeferred(socket, listener)
        guard let index = socket.deferred.firstIndex(where: { isDue($0) }) else { return nil }
        return socket.deferred.remove(at: index).0
    }

    private func collectDeferred(_ socket: Socket, _ listener: ListenerID) {
        while let id = stack.accept(listener) {
            socket.deferred.append((id, now + .seconds(socket.options.deferAccept)))
        }
    }

    private func isDue(_ entry: (ConnectionID, Instant)) -> Bool {
        guard let details = stack.details(of: entry.0) else { return true }
        return details.unread > 0 || details.state != .established || now >= entry.1
    }

    /// Connections that `accept` would give now.
    func acceptableCount(_ socket: Socket) -> Int {
        guard let listener = socket.listener else { return 0 }
        guard socket.options.deferAccept > 0 || !socket.deferred.isEmpty else {
            return stack.waiting(on: listener) ?? 0
        }
        collectDeferred(socket, listener)
        return socket.deferred.count(where: { isDue($0) })
    }

    // MARK: connect

    func connect(_ socket: Socket, _ address: SocketAddress, _ pending: PendingCall) throws(Errno) -> CallResult? {
        if !pending.isRetry {
            guard address.family == socket.family else {
                throw socket.family == .ipv6 ? .EINVAL : .EAFNOSUPPORT
            }
            if socket.isConnected || socket.listener != nil || socket.deferredPeer != nil {
                // BSD: a socket that listens cannot connect at all.
                throw socket.listener != nil && settings.flavour == .freeBSD ? .EOPNOTSUPP : .EISCONN
            }
            if socket.isConnecting {
                if isOpening(socket), socket.isNonBlocking { throw .EALREADY }
                if settings.flavour == .freeBSD, !isOpening(socket), socket.error == .none { throw .EISCONN }
            } else {
                if defersConnect(socket, address) { return CallResult(0) }
                try beginConnect(socket, address, fastOpen: socket.options.fastOpenConnect && mayConnectFast)
                if socket.isNonBlocking { throw .EINPROGRESS }
            }
        }
        if isOpening(socket) {
            guard mayWait(pending, nonBlocking: socket.isNonBlocking, for: socket.options.sendTimeout) else {
                throw pending.isRetry ? .EINPROGRESS : .EALREADY
            }
            return nil
        }
        guard let id = socket.connection, let details = stack.details(of: id), details.state != .closed else {
            // The attempt failed. What it left is cleared away, so that another may follow.
            let error = socket.takeError()
            dropConnection(socket)
            throw error == .none ? .ECONNABORTED : error
        }
        socket.isConnecting = false
        socket.isConnected = true
        return CallResult(0)
    }

    /// Whether the handshake is under way.
    func isOpening(_ socket: Socket) -> Bool {
        guard let id = socket.connection, let details = stack.details(of: id) else { return false }
        return isOpening(socket, details.state)
    }

    /// The same for a state that is known. What `accept` gave is open, though by Fast Open its handshake may go on.
    func isOpening(_ socket: Socket, _ state: State) -> Bool {
        state == .synSent || state == .synReceived && !socket.isConnected
    }

    func beginConnect(_ socket: Socket, _ address: SocketAddress, fastOpen: Bool = false) throws(Errno) {
        dropConnection(socket)
        let bound = socket.bound
        let local = bound.flatMap { $0.address.isUnspecified ? nil : $0.address }
        var options = socket.options.forConnection
        options.fastOpen = fastOpen
        options.explicitCongestionNotification = settings.askedECN
        if socket.options.synRetries > 0 {
            // R2 for the SYN in time: each timeout is twice the one before (RFC 6298 §5.5).
            var limit = Duration.zero
            for retry in 0...socket.options.synRetries {
                limit += min(settings.initialRTO * (1 << min(retry, 20)), settings.maximumRTO)
            }
            options.userTimeout = limit
        }
        do throws(OpenError) {
            let id = try stack.connect(
                to: Endpoint(address.address, address.port), from: local, port: bound?.port ?? 0, options: options,
                at: now)
            socket.role = .connection(id)
            socket.isConnecting = true
            connections[id] = socket
            if let status = stack.status(of: id) {
                socket.bound = SocketAddress(
                    family: socket.family, address: status.local.address, port: status.local.port)
            }
        } catch {
            switch error {
            case .noRoute: throw .ENETUNREACH
            case .noLocalAddress, .invalidAddress: throw address.port == 0 ? .EADDRNOTAVAIL : .ENETUNREACH
            case .addressInUse: throw settings.flavour == .freeBSD ? .EADDRINUSE : .EADDRNOTAVAIL
            case .noPortLeft: throw .EADDRNOTAVAIL
            case .noMemory: throw .ENOBUFS
            }
        }
    }

    /// Lets go of the connection behind a socket that stays.
    func dropConnection(_ socket: Socket) {
        guard let id = socket.connection else { return }
        connections[id] = nil
        stack.release(id, at: now)
        socket.reset()
    }

    // MARK: Names

    func socketName(_ socket: Socket) throws(Errno) -> CallResult {
        var result = CallResult(0)
        let any = socket.family == .ipv4 ? IPAddress(ipv4: 0) : IPAddress(high: 0, low: 0)
        result.address = socket.bound ?? SocketAddress(family: socket.family, address: any, port: 0)
        return result
    }

    func peerName(_ socket: Socket) throws(Errno) -> CallResult {
        guard let id = socket.connection, let status = stack.status(of: id), status.state != .closed,
            status.state != .synSent
        else { throw .ENOTCONN }
        var result = CallResult(0)
        result.address = SocketAddress(
            family: socket.family, address: status.remote.address, port: status.remote.port)
        return result
    }
}
