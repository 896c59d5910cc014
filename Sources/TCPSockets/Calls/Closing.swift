import TCPEngine
import TCPStack
import TCPWire

// close, shutdown, fcntl, ioctl.
extension VirtualKernel {
    func close(_ descriptor: Int32, _ pending: PendingCall) throws(Errno) -> CallResult? {
        if pending.isRetry {
            guard case .socket(let socket)? = pending.description else { return CallResult(0) }
            return lingerOn(socket, pending)
        }
        let closed = try description(descriptor, pending)
        descriptors[descriptor] = nil
        for case .epoll(let epoll) in descriptors.values { epoll.watches.removeAll { $0.descriptor == descriptor } }
        switch closed {
        case .epoll: break
        case .pipe(let end): if end.isReader { end.pipe.hasReader = false } else { end.pipe.hasWriter = false }
        case .socket(let socket): return close(socket, pending)
        }
        return CallResult(0)
    }

    /// Closes a descriptor that nobody will call for any more.
    func discard(_ descriptor: Int32) {
        switch descriptors.removeValue(forKey: descriptor) {
        case nil, .epoll: break
        case .pipe(let end): if end.isReader { end.pipe.hasReader = false } else { end.pipe.hasWriter = false }
        case .socket(let socket):
            if let id = socket.listener { stopListening(socket, id) } else { dropConnection(socket) }
        }
        for case .epoll(let epoll) in descriptors.values { epoll.watches.removeAll { $0.descriptor == descriptor } }
    }

    private func close(_ socket: Socket, _ pending: PendingCall) -> CallResult? {
        switch socket.role {
        case .none: break
        case .listener(let id): stopListening(socket, id)
        case .connection(let id):
            if let linger = socket.options.linger, linger == 0 {
                // RFC 9293 §3.9.1.5, ABORT, is what no lingering means.
                connections[id] = nil
                stack.abort(id, at: now)
                socket.reset()
            } else if let linger = socket.options.linger, let details = stack.details(of: id), details.unread == 0,
                details.state != .synSent
            {
                try? stack.close(id, at: now)
                socket.shutWrite = true
                _ = mayWait(pending, nonBlocking: false, for: .seconds(linger))
                return lingerOn(socket, pending)
            } else {
                dropConnection(socket)
            }
        }
        return CallResult(0)
    }

    /// SO_LINGER: `close` returns when all is acknowledged, or when its time is over.
    private func lingerOn(_ socket: Socket, _ pending: PendingCall) -> CallResult? {
        guard let id = socket.connection, let details = stack.details(of: id) else { return CallResult(0) }
        if details.isFinAcknowledged || details.unread > 0 {
            dropConnection(socket)
            return CallResult(0)
        }
        if now < pending.deadline { return nil }
        dropConnection(socket)
        return settings.flavour == .freeBSD ? CallResult(.EAGAIN) : CallResult(0)
    }

    private func stopListening(_ socket: Socket, _ id: ListenerID) {
        for (connection, _) in socket.deferred { stack.abort(connection, at: now) }
        socket.deferred = []
        stack.stopListening(id, at: now)
        listeners[id] = nil
        socket.role = .none
    }

    func shutdown(_ socket: Socket, _ how: Int32) throws(Errno) -> CallResult {
        guard (Linux.SHUT_RD...Linux.SHUT_RDWR).contains(how) else { throw .EINVAL }
        let reads = how != Linux.SHUT_WR
        let writes = how != Linux.SHUT_RD
        switch socket.role {
        case .none: throw .ENOTCONN
        case .listener(let id):
            if settings.flavour == .freeBSD { throw .ENOTCONN }
            if reads { stopListening(socket, id) }
        case .connection(let id):
            guard let details = stack.details(of: id), details.state != .closed else { throw .ENOTCONN }
            if details.state == .synSent {
                // Linux gives the attempt up; BSD has no connection to shut.
                if settings.flavour == .freeBSD { throw .ENOTCONN }
                dropConnection(socket)
                socket.error = .ECONNRESET
                return CallResult(0)
            }
            if reads { socket.shutRead = true }
            if writes, !socket.shutWrite {
                socket.shutWrite = true
                try? stack.close(id, at: now)
            }
            socket.stirred |= Linux.POLLIN | Linux.POLLRDHUP | Linux.POLLHUP
        }
        return CallResult(0)
    }

    // MARK: fcntl and ioctl

    func fcntl(_ descriptor: Int32, _ command: Int32, _ argument: Int32) throws(Errno) -> CallResult {
        let description = try description(descriptor)
        let blocks = argument & Linux.O_NONBLOCK == 0
        switch (command, description) {
        case (Linux.F_GETFL, .socket(let socket)):
            return CallResult(Int(Linux.O_RDWR | (socket.isNonBlocking ? Linux.O_NONBLOCK : 0)))
        case (Linux.F_GETFL, .pipe(let end)):
            let mode = end.isReader ? Linux.O_RDONLY : Linux.O_WRONLY
            return CallResult(Int(mode | (end.isNonBlocking ? Linux.O_NONBLOCK : 0)))
        case (Linux.F_GETFL, .epoll): return CallResult(Int(Linux.O_RDWR))
        case (Linux.F_SETFL, .socket(let socket)): socket.isNonBlocking = !blocks
        case (Linux.F_SETFL, .pipe(let end)): end.isNonBlocking = !blocks
        case (Linux.F_SETFL, .epoll): break
        case (Linux.F_GETFD, .socket(let socket)): return CallResult(socket.closesOnExec ? 1 : 0)
        case (Linux.F_GETFD, .pipe(let end)): return CallResult(end.closesOnExec ? 1 : 0)
        case (Linux.F_GETFD, .epoll(let epoll)): return CallResult(epoll.closesOnExec ? 1 : 0)
        case (Linux.F_SETFD, .socket(let socket)): socket.closesOnExec = argument & 1 != 0
        case (Linux.F_SETFD, .pipe(let end)): end.closesOnExec = argument & 1 != 0
        case (Linux.F_SETFD, .epoll(let epoll)): epoll.closesOnExec = argument & 1 != 0
        default: throw .EINVAL
        }
        return CallResult(0)
    }

    func ioctl(_ descriptor: Int32, _ request: UInt, _ argument: Int32) throws(Errno) -> CallResult {
        switch try description(descriptor) {
        case .socket(let socket): return try ioctl(socket, request, argument)
        case .pipe(let end):
            switch request {
            case Linux.FIONBIO: end.isNonBlocking = argument != 0
            case Linux.FIONREAD:
                var result = CallResult(0)
                result.integer = Int32(end.pipe.octets.count)
                return result
            default: throw .ENOTTY
            }
            return CallResult(0)
        case .epoll: throw .ENOTTY
        }
    }

    private func ioctl(_ socket: Socket, _ request: UInt, _ argument: Int32) throws(Errno) -> CallResult {
        var result = CallResult(0)
        let details = socket.connection.flatMap { stack.details(of: $0) }
        let isOpen = details.map { !isOpening(socket, $0.state) } ?? false
        switch request {
        case Linux.FIONBIO: socket.isNonBlocking = argument != 0
        case Linux.FIOCLEX: socket.closesOnExec = true
        case Linux.FIONCLEX: socket.closesOnExec = false
        case Linux.SIOCINQ:
            if socket.listener != nil { throw .EINVAL }
            result.integer = Int32(clamping: details?.unread ?? 0)
        case Linux.SIOCOUTQ, Linux.SIOCOUTQNSD:
            if socket.listener != nil { throw .EINVAL }
            guard let details, isOpen else { break }
            // Linux counts the FIN, which has a sequence number, among the octets.
            let isFinOut = socket.shutWrite && !details.isFinAcknowledged && settings.flavour == .linux
            let queued = details.unacknowledged + (isFinOut ? 1 : 0)
            let sent = max(0, details.sendNext.distance(from: details.sendUnacknowledged))
            result.integer = Int32(clamping: request == Linux.SIOCOUTQ ? queued : max(0, queued - sent))
        case Linux.SIOCATMARK: result.integer = details?.urgent == 1 ? 1 : 0
        default: throw .ENOTTY
        }
        return result
    }
}
