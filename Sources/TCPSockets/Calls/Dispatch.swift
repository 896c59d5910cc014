import TCPStack
import TCPWire

extension VirtualKernel {
    /// Carries out a call, or as much as can be done of it now; `nil` when it must wait.
    func perform(_ pending: PendingCall) throws(Errno) -> CallResult? {
        switch pending.call {
        case .socket(let domain, let type, let number): return try makeSocket(domain, type, number)
        case .bind(let descriptor, let address): return try bind(socket(descriptor, pending), address)
        case .listen(let descriptor, let backlog): return try listen(socket(descriptor, pending), Int(backlog))
        case .accept(let descriptor, let flags): return try accept(socket(descriptor, pending), flags, pending)
        case .connect(let descriptor, let address):
            return try connect(socket(descriptor, pending), address, pending)
        case .getsockname(let descriptor): return try socketName(socket(descriptor, pending))
        case .getpeername(let descriptor): return try peerName(socket(descriptor, pending))
        case .read(let descriptor, let count): return try read(descriptor, count, pending)
        case .readv(let descriptor, let counts): return try read(descriptor, total(counts), pending)
        case .recv(let descriptor, let count, let flags):
            guard count >= 0 else { throw .EINVAL }
            return try receive(socket(descriptor, pending), count, flags, pending)
        case .recvmsg(let descriptor, let counts, let room, let flags):
            return try receiveMessage(socket(descriptor, pending), total(counts), room, flags, pending)
        case .write(let descriptor, let octets): return try write(descriptor, octets, pending)
        case .writev(let descriptor, let parts): return try write(descriptor, Array(parts.joined()), pending)
        case .send(let descriptor, let octets, let flags, let peer):
            return try send(socket(descriptor, pending), octets, flags, to: peer, pending)
        case .sendmsg(let descriptor, let parts, let flags, let peer, _):
            return try send(socket(descriptor, pending), Array(parts.joined()), flags, to: peer, pending)
        default: return try performOther(pending)
        }
    }

    private func performOther(_ pending: PendingCall) throws(Errno) -> CallResult? {
        switch pending.call {
        case .fcntl(let descriptor, let command, let argument): return try fcntl(descriptor, command, argument)
        case .ioctl(let descriptor, let request, let argument): return try ioctl(descriptor, request, argument)
        case .close(let descriptor): return try close(descriptor, pending)
        case .shutdown(let descriptor, let how): return try shutdown(socket(descriptor, pending), how)
        case .getsockopt(let descriptor, let level, let name, let length):
            guard length >= 0 else { throw .EINVAL }
            let octets = try option(of: socket(descriptor, pending), OptionName(level: level, name: name), length)
            var result = CallResult(0)
            result.option = octets
            return result
        case .setsockopt(let descriptor, let level, let name, let value):
            try setOption(of: socket(descriptor, pending), OptionName(level: level, name: name), value)
            return CallResult(0)
        case .poll(let entries, let timeout): return poll(entries, timeout, pending)
        case .epollCreate(let flags): return try makeEpoll(flags)
        case .epollControl(let descriptor, let operation, let target, let event):
            return try controlEpoll(descriptor, operation, target, event)
        case .epollWait(let descriptor, let maximum, let timeout):
            return try waitEpoll(descriptor, maximum, timeout, pending)
        case .pipe(let flags): return try makePipe(flags)
        case .splice(let source, let sourceOffset, let target, let targetOffset, let count, let flags):
            guard sourceOffset == nil, targetOffset == nil else { throw .ESPIPE }
            return try splice(source, target, count, flags, pending)
        default: throw .ENOSYS
        }
    }

    private func total(_ counts: [Int]) throws(Errno) -> Int {
        var sum = 0
        for count in counts {
            let (next, overflow) = sum.addingReportingOverflow(count)
            guard count >= 0, !overflow else { throw .EINVAL }
            sum = next
        }
        return sum
    }

    // MARK: Descriptors

    /// What a descriptor names. A call that waits keeps what it began with.
    func description(_ descriptor: Int32, _ pending: PendingCall? = nil) throws(Errno) -> Description {
        if let kept = pending?.description { return kept }
        guard let found = descriptors[descriptor] else { throw .EBADF }
        pending?.description = found
        return found
    }

    func socket(_ descriptor: Int32, _ pending: PendingCall) throws(Errno) -> Socket {
        guard case .socket(let socket) = try description(descriptor, pending) else { throw .ENOTSOCK }
        return socket
    }

    /// Gives a description its number.
    func install(_ description: Description) throws(Errno) -> Int32 {
        let descriptor: Int32
        if let makeDescriptor {
            guard let made = makeDescriptor() else { throw .EMFILE }
            descriptor = made
            // The number was given back behind the kernel's back: what it named goes as by `close`.
            discard(made)
        } else {
            var least = settings.firstDescriptor
            while descriptors[least] != nil { least += 1 }
            guard least < 65536 else { throw .EMFILE }
            descriptor = least
        }
        descriptors[descriptor] = description
        return descriptor
    }

    // MARK: Waiting

    /// Whether a call may wait on: for a time, from its first try on, or for ever.
    func mayWait(_ pending: PendingCall, nonBlocking: Bool, for limit: Duration?) -> Bool {
        if nonBlocking { return false }
        if !pending.isRetry {
            pending.isRetry = true
            if let limit { pending.deadline = now + limit }
        }
        return now < pending.deadline
    }
}
