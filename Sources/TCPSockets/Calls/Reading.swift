import TCPEngine
import TCPStack
import TCPWire

// read, readv, recv, recvfrom, recvmsg.
extension VirtualKernel {
    func read(_ descriptor: Int32, _ count: Int, _ pending: PendingCall) throws(Errno) -> CallResult? {
        guard count >= 0 else { throw .EINVAL }
        switch try description(descriptor, pending) {
        case .socket(let socket):
            // As the manual of read(2) has it; recv(2) of nothing may still wait.
            if count == 0 { return CallResult(0) }
            return try receive(socket, count, 0, pending)
        case .epoll: throw .EINVAL
        case .pipe(let end): return try read(end, count, pending)
        }
    }

    func receive(
        _ socket: Socket, _ count: Int, _ flags: Int32, _ pending: PendingCall
    ) throws(Errno) -> CallResult? {
        // Urgent octets stay in the stream (RFC 6093 §2), so there is never one apart.
        if flags & Linux.MSG_OOB != 0 { throw .EINVAL }
        if flags & Linux.MSG_ERRQUEUE != 0 { throw .EAGAIN }
        let peeks = flags & Linux.MSG_PEEK != 0
        let target = max(
            1, flags & Linux.MSG_WAITALL != 0 && !peeks ? count : min(socket.options.receiveLowWater, count))
        let unread = socket.connection.flatMap { stack.details(of: $0)?.unread } ?? 0
        if let id = socket.connection, unread > 0, !peeks || pending.octets.isEmpty {
            let room = min(count - pending.octets.count, unread)
            pending.octets += peeks ? peek(id, room) : take(socket, id, room)
        }
        let nonBlocking = socket.isNonBlocking || flags & Linux.MSG_DONTWAIT != 0
        if pending.octets.count < target, !isReadOver(socket) {
            if mayWait(pending, nonBlocking: nonBlocking, for: socket.options.receiveTimeout) {
                if peeks { pending.octets = [] }
                return nil
            }
            if pending.octets.isEmpty { throw .EAGAIN }
        }
        if pending.octets.isEmpty, count > 0 {
            try checkReadEnd(socket)
            return CallResult(0)
        }
        var result = CallResult(pending.octets.count)
        // MSG_TRUNC: the octets are thrown away, their number is told.
        result.octets = flags & Linux.MSG_TRUNC != 0 ? [] : pending.octets
        return result
    }

    /// Whether nothing will come that has not come.
    private func isReadOver(_ socket: Socket) -> Bool {
        guard socket.error == .none, !socket.sawEnd, !socket.shutRead, let id = socket.connection,
            let details = stack.details(of: id)
        else { return true }
        return details.state == .closed
    }

    /// What a read says when nothing is left: an error once, the end of the stream, or that there never was one.
    private func checkReadEnd(_ socket: Socket) throws(Errno) {
        if socket.sawEnd { return }
        if socket.error != .none { throw socket.takeError() }
        if socket.shutRead { return }
        // Once a connection has ended by an error, which was reported, reads find the end.
        if socket.connection != nil, socket.isConnected || socket.isConnecting { return }
        throw .ENOTCONN
    }

    private func peek(_ id: ConnectionID, _ count: Int) -> [UInt8] {
        var octets = [UInt8](repeating: 0, count: count)
        var span = octets.mutableSpan
        var bytes = span.mutableBytes
        _ = stack.peek(id, into: &bytes)
        return octets
    }

    private func take(_ socket: Socket, _ id: ConnectionID, _ count: Int) -> [UInt8] {
        guard count > 0 else { return [] }
        var octets = [UInt8](repeating: 0, count: count)
        var taken = 0
        do {
            var span = octets.mutableSpan
            var bytes = span.mutableBytes
            if case .bytes(let got)? = try? stack.read(id, into: &bytes, at: now) { taken = got }
        }
        octets.removeLast(count - taken)
        socket.octetsRead += UInt64(taken)
        return octets
    }

    func receiveMessage(
        _ socket: Socket, _ count: Int, _ room: Int, _ flags: Int32, _ pending: PendingCall
    ) throws(Errno) -> CallResult? {
        guard var result = try receive(socket, count, flags, pending) else { return nil }
        guard socket.options.tellsQueue else { return result }
        // TCP_CM_INQ: what is still to be read; one at the end of the stream, so that the reader comes back for it.
        let unread = socket.connection.flatMap { stack.details(of: $0)?.unread } ?? 0
        let hint = unread == 0 && socket.sawEnd ? 1 : unread
        if room >= 20 {
            result.control = controlMessage(Linux.SOL_TCP, Linux.TCP_CM_INQ, Int32(clamping: hint), room)
        } else {
            result.messageFlags |= Linux.MSG_CTRUNC
        }
        return result
    }

    /// A `struct cmsghdr` with an `int` in it: 16 octets of header, the number, padding to eight octets as far as there is room.
    private func controlMessage(_ level: Int32, _ type: Int32, _ value: Int32, _ room: Int) -> [UInt8] {
        var octets = bytes(20) + [0, 0, 0, 0] + bytes(level) + bytes(type) + bytes(value)
        while octets.count < min(room, 24) { octets.append(0) }
        return octets
    }
}

/// The octets of an `int`.
func bytes(_ value: Int32) -> [UInt8] {
    let bits = UInt32(bitPattern: value)
    return (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * UInt32($0))) }
}
