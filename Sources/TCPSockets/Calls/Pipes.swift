import TCPStack
import TCPWire

// pipe, splice.
extension VirtualKernel {
    func makePipe(_ flags: Int32) throws(Errno) -> CallResult {
        guard flags & ~(Linux.O_NONBLOCK | Linux.O_CLOEXEC) == 0 else { throw .EINVAL }
        let pipe = Pipe()
        let nonBlocking = flags & Linux.O_NONBLOCK != 0
        let closes = flags & Linux.O_CLOEXEC != 0
        let reader = try install(
            .pipe(PipeEnd(pipe, isReader: true, isNonBlocking: nonBlocking, closesOnExec: closes)))
        do {
            let writer = try install(
                .pipe(PipeEnd(pipe, isReader: false, isNonBlocking: nonBlocking, closesOnExec: closes)))
            var result = CallResult(0)
            result.descriptors = [reader, writer]
            return result
        } catch {
            descriptors[reader] = nil
            throw error
        }
    }

    func read(_ end: PipeEnd, _ count: Int, _ pending: PendingCall) throws(Errno) -> CallResult? {
        guard end.isReader else { throw .EBADF }
        guard count > 0, !end.pipe.octets.isEmpty || end.pipe.hasWriter else { return CallResult(0) }
        if end.pipe.octets.isEmpty {
            guard mayWait(pending, nonBlocking: end.isNonBlocking, for: nil) else { throw .EAGAIN }
            return nil
        }
        let octets = end.pipe.take(count)
        var result = CallResult(octets.count)
        result.octets = octets
        return result
    }

    func write(_ end: PipeEnd, _ octets: [UInt8], _ pending: PendingCall) throws(Errno) -> CallResult? {
        guard !end.isReader else { throw .EBADF }
        guard end.pipe.hasReader else { throw .EPIPE }
        let left = octets.count - pending.written
        // POSIX: up to PIPE_BUF octets go together or not at all.
        let fits = left <= 4096 && end.pipe.room < left ? 0 : min(left, end.pipe.room)
        end.pipe.octets += octets[pending.written..<pending.written + fits]
        pending.written += fits
        if pending.written == octets.count { return CallResult(octets.count) }
        if mayWait(pending, nonBlocking: end.isNonBlocking, for: nil) { return nil }
        guard pending.written > 0 else { throw .EAGAIN }
        return CallResult(pending.written)
    }

    /// Moves octets from a socket into a pipe, or from a pipe into a socket or another pipe.
    func splice(
        _ source: Int32, _ target: Int32, _ count: Int, _ flags: Int32, _ pending: PendingCall
    ) throws(Errno) -> CallResult? {
        guard count >= 0 else { throw .EINVAL }
        if count == 0 { return CallResult(0) }
        let from = try description(source)
        let to = try description(target)
        let nonBlocking = flags & Linux.SPLICE_F_NONBLOCK != 0
        switch (from, to) {
        case (.socket(let socket), .pipe(let end)):
            guard !end.isReader else { throw .EBADF }
            guard end.pipe.hasReader else { throw .EPIPE }
            guard end.pipe.room > 0 else {
                guard mayWait(pending, nonBlocking: nonBlocking || end.isNonBlocking, for: nil) else { throw .EAGAIN }
                return nil
            }
            let wait = nonBlocking ? Linux.MSG_DONTWAIT : 0
            guard let read = try receive(socket, min(count, end.pipe.room), wait, pending) else { return nil }
            end.pipe.octets += read.octets
            return CallResult(read.value)
        case (.pipe(let end), .socket(let socket)):
            guard let octets = try front(end, count, nonBlocking, pending) else { return nil }
            if octets.isEmpty { return CallResult(0) }
            let wait = nonBlocking ? Linux.MSG_DONTWAIT : 0
            let more = flags & Linux.SPLICE_F_MORE != 0 ? Linux.MSG_MORE : 0
            pending.written = 0
            // What does not fit stays in the pipe.
            let part = PendingCall(id: pending.id, call: pending.call)
            guard let sent = try send(socket, octets, wait | more | Linux.MSG_DONTWAIT, part, or: pending, nonBlocking)
            else { return nil }
            _ = end.pipe.take(sent.value)
            return sent
        case (.pipe(let one), .pipe(let two)):
            guard one.pipe !== two.pipe, !two.isReader else { throw one.pipe === two.pipe ? .EINVAL : .EBADF }
            guard two.pipe.hasReader else { throw .EPIPE }
            guard let octets = try front(one, min(count, max(1, two.pipe.room)), nonBlocking, pending) else {
                return nil
            }
            guard two.pipe.room > 0 || octets.isEmpty else {
                guard mayWait(pending, nonBlocking: nonBlocking || two.isNonBlocking, for: nil) else { throw .EAGAIN }
                return nil
            }
            two.pipe.octets += one.pipe.take(octets.count)
            return CallResult(octets.count)
        default: throw .EINVAL
        }
    }

    /// What a pipe would give; empty at its end, `nil` when the call waits for more.
    private func front(
        _ end: PipeEnd, _ count: Int, _ nonBlocking: Bool, _ pending: PendingCall
    ) throws(Errno) -> [UInt8]? {
        guard end.isReader else { throw .EBADF }
        if end.pipe.octets.isEmpty, end.pipe.hasWriter {
            guard mayWait(pending, nonBlocking: nonBlocking || end.isNonBlocking, for: nil) else { throw .EAGAIN }
            return nil
        }
        return Array(end.pipe.octets.prefix(count))
    }

    /// Sends what fits; waits for room as the call as a whole may.
    private func send(
        _ socket: Socket, _ octets: [UInt8], _ flags: Int32, _ part: PendingCall, or pending: PendingCall,
        _ nonBlocking: Bool
    ) throws(Errno) -> CallResult? {
        do throws(Errno) {
            return try send(socket, octets, flags, part)
        } catch {
            guard error == .EAGAIN,
                mayWait(pending, nonBlocking: nonBlocking || socket.isNonBlocking, for: socket.options.sendTimeout)
            else { throw error }
            return nil
        }
    }
}
