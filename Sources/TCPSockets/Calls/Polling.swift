import TCPEngine
import TCPStack
import TCPWire

// poll, and what is ready.
extension VirtualKernel {
    func poll(_ entries: [PollDescriptor], _ timeout: Int32, _ pending: PendingCall) -> CallResult? {
        var polled = entries
        var count = 0
        for index in polled.indices {
            polled[index].returned = 0
            guard polled[index].descriptor >= 0 else { continue }
            polled[index].returned = readiness(of: polled[index].descriptor, polled[index].events)
            if polled[index].returned != 0 { count += 1 }
        }
        if count == 0, mayWait(pending, nonBlocking: timeout == 0, for: limit(timeout)) { return nil }
        var result = CallResult(count)
        result.polled = polled
        return result
    }

    func limit(_ timeout: Int32) -> Duration? { timeout < 0 ? nil : .milliseconds(timeout) }

    private func readiness(of descriptor: Int32, _ wanted: Int16) -> Int16 {
        guard let description = descriptors[descriptor] else { return Linux.POLLNVAL }
        return mask(of: description) & (wanted | Linux.POLLERR | Linux.POLLHUP)
    }

    /// Everything that is so of a description now.
    func mask(of description: Description) -> Int16 {
        switch description {
        case .socket(let socket): return mask(of: socket)
        case .epoll(let epoll): return isReady(epoll) ? Linux.POLLIN | Linux.POLLRDNORM : 0
        case .pipe(let end):
            if end.isReader {
                return (end.pipe.octets.isEmpty ? 0 : Linux.POLLIN | Linux.POLLRDNORM)
                    | (end.pipe.hasWriter ? 0 : Linux.POLLHUP)
            }
            return (end.pipe.room > 0 ? Linux.POLLOUT | Linux.POLLWRNORM : 0)
                | (end.pipe.hasReader ? 0 : Linux.POLLERR)
        }
    }

    /// As Linux's `tcp_poll` is documented to behave: HUP only when both directions are over, RDHUP and IN when the peer's is.
    private func mask(of socket: Socket) -> Int16 {
        let readable = Linux.POLLIN | Linux.POLLRDNORM
        let writable = Linux.POLLOUT | Linux.POLLWRNORM
        if socket.listener != nil { return acceptableCount(socket) > 0 ? readable : 0 }
        if socket.deferredPeer != nil { return writable }
        var mask: Int16 = socket.error == .none ? 0 : Linux.POLLERR
        guard let id = socket.connection, let details = stack.details(of: id) else {
            return mask | writable | Linux.POLLHUP
        }
        let isOver = details.state == .closed
        if isOver || (socket.shutRead || socket.sawEnd) && socket.shutWrite { mask |= Linux.POLLHUP }
        if isOver || socket.sawEnd || socket.shutRead { mask |= readable | Linux.POLLRDHUP }
        if isOpening(socket, details.state) { return mask }
        if details.unread >= max(1, socket.options.receiveLowWater) { mask |= readable }
        if details.urgent > 0 { mask |= Linux.POLLPRI }
        if isOver || socket.shutWrite || isWritable(socket, details) { mask |= writable }
        return mask
    }

    /// Whether a write is worth a program's while: Linux waits until a third of the buffer is free, BSD until 2048 octets are.
    private func isWritable(_ socket: Socket, _ details: ConnectionDetails) -> Bool {
        let room = writeRoom(socket)
        guard room > 0 else { return false }
        let buffer = socket.options.sendBuffer ?? settings.sendBuffer
        if settings.flavour == .freeBSD { return room >= min(2048, buffer) }
        return room >= details.unacknowledged / 2
    }

    // MARK: epoll

    func makeEpoll(_ flags: Int32) throws(Errno) -> CallResult {
        guard flags & ~Linux.EPOLL_CLOEXEC == 0 else { throw .EINVAL }
        let epoll = Epoll()
        epoll.closesOnExec = flags != 0
        return CallResult(Int(try install(.epoll(epoll))))
    }

    func controlEpoll(
        _ descriptor: Int32, _ operation: Int32, _ target: Int32, _ event: EpollEvent?
    ) throws(Errno) -> CallResult {
        let watcher = try description(descriptor)
        let watched = try description(target)
        guard case .epoll(let epoll) = watcher, descriptor != target else { throw .EINVAL }
        let index = epoll.index(of: target)
        switch operation {
        case Linux.EPOLL_CTL_ADD:
            guard let event else { throw .EFAULT }
            guard index == nil else { throw .EEXIST }
            if case .epoll(let inner) = watched, leads(inner, to: epoll, depth: 0) { throw .ELOOP }
            epoll.watches.append(Epoll.Watch(descriptor: target, event: event))
        case Linux.EPOLL_CTL_MOD:
            guard let event else { throw .EFAULT }
            guard let index else { throw .ENOENT }
            epoll.watches[index] = Epoll.Watch(descriptor: target, event: event)
        case Linux.EPOLL_CTL_DEL:
            guard let index else { throw .ENOENT }
            epoll.watches.remove(at: index)
        default: throw .EINVAL
        }
        return CallResult(0)
    }

    /// Whether watching `inner` from `outer` would make a circle, or a chain of more than five.
    private func leads(_ inner: Epoll, to outer: Epoll, depth: Int) -> Bool {
        if inner === outer || depth > 4 { return true }
        for watch in inner.watches {
            if case .epoll(let next)? = descriptors[watch.descriptor], leads(next, to: outer, depth: depth + 1) {
                return true
            }
        }
        return false
    }

    /// Notes what became ready since the last time: EPOLLET reports news only.
    func noteReadiness() {
        for case .epoll(let epoll) in descriptors.values {
            for index in epoll.watches.indices {
                guard let target = descriptors[epoll.watches[index].descriptor] else { continue }
                var stirred: Int16 = 0
                if case .socket(let socket) = target { stirred = socket.stirred }
                let mask = UInt32(UInt16(bitPattern: mask(of: target)))
                let wanted = epoll.watches[index].event.events | Linux.EPOLLERR | Linux.EPOLLHUP
                let news = mask & ~epoll.watches[index].known | mask & UInt32(UInt16(bitPattern: stirred))
                if news & wanted != 0 { epoll.watches[index].isFresh = true }
                epoll.watches[index].known = mask
            }
        }
        for case .socket(let socket) in descriptors.values { socket.stirred = 0 }
    }

    private func ready(_ watch: Epoll.Watch) -> UInt32 {
        guard !watch.isSpent, let target = descriptors[watch.descriptor] else { return 0 }
        if watch.event.events & Linux.EPOLLET != 0, !watch.isFresh { return 0 }
        let mask = UInt32(UInt16(bitPattern: mask(of: target)))
        return mask & (watch.event.events | Linux.EPOLLERR | Linux.EPOLLHUP)
    }

    private func isReady(_ epoll: Epoll) -> Bool { epoll.watches.contains { ready($0) != 0 } }

    func waitEpoll(
        _ descriptor: Int32, _ maximum: Int, _ timeout: Int32, _ pending: PendingCall
    ) throws(Errno) -> CallResult? {
        guard maximum > 0, case .epoll(let epoll) = try description(descriptor, pending) else { throw .EINVAL }
        noteReadiness()
        var result = CallResult(0)
        var reported: [Epoll.Watch] = []
        var kept: [Epoll.Watch] = []
        for var watch in epoll.watches {
            let events = result.events.count < maximum ? ready(watch) : 0
            guard events != 0 else {
                kept.append(watch)
                continue
            }
            result.events.append(EpollEvent(events: events, data: watch.event.data))
            watch.isFresh = false
            if watch.event.events & Linux.EPOLLONESHOT != 0 { watch.isSpent = true }
            reported.append(watch)
        }
        // Those reported wait behind the others, so that none is passed over when more are ready than fit.
        epoll.watches = kept + reported
        result.value = result.events.count
        if result.events.isEmpty, mayWait(pending, nonBlocking: timeout == 0, for: limit(timeout)) { return nil }
        return result
    }
}
