internal import CLinux
internal import Glibc
internal import TCPWire

/// A task that waits for a descriptor.
struct DescriptorWait {
    var ticket: UInt64
    var continuation: UnsafeContinuation<Bool, Never>
}

/// A task that waits for a time.
struct Timer {
    var ticket: UInt64
    var deadline: Instant
    var continuation: UnsafeContinuation<Bool, Never>
}

/// What a task may wait for at a descriptor.
package enum DescriptorInterest: Sendable {
    case readable
    case writable
}

extension EventLoop {
    /// Registers a client, and its device's descriptor if it has one.
    func add(_ client: any LoopClient, descriptor: CInt?) {
        clients.append(client)
        guard let descriptor else { return }
        watched[descriptor] = client
        control(EPOLL_CTL_ADD, descriptor, linux_EPOLLIN)
    }

    /// Forgets a client, before its descriptor is closed.
    func remove(_ client: any LoopClient, descriptor: CInt?) {
        clients.removeAll { $0 === client }
        guard let descriptor else { return }
        watched[descriptor] = nil
        control(EPOLL_CTL_DEL, descriptor, 0)
    }

    /// Waits for room at a client's descriptor, or no longer.
    func watchRoom(_ descriptor: CInt, _ wanted: Bool) {
        control(EPOLL_CTL_MOD, descriptor, wanted ? linux_EPOLLIN | linux_EPOLLOUT : linux_EPOLLIN)
    }

    @discardableResult
    private func control(_ operation: CInt, _ descriptor: CInt, _ events: UInt32) -> CInt {
        var event = epoll_event()
        event.events = events
        event.data.u64 = UInt64(descriptor)
        return epoll_ctl(epoll, operation, descriptor, &event)
    }

    /// Waits until `descriptor` is ready. One task at a time may wait for one descriptor; what polls as always ready, a
    /// regular file, is ready at once. Must be called by a task that runs on this loop.
    ///
    /// - Throws: `CancellationError` when the task is cancelled first.
    package nonisolated(nonsending) func wait(
        for interest: DescriptorInterest, at descriptor: CInt
    ) async throws(CancellationError) {
        checkIsolated()
        let ticket = nextTicket()
        let events = interest == .readable ? linux_EPOLLIN : linux_EPOLLOUT
        let isReady = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                precondition(waits[descriptor] == nil, "one task waits for a descriptor at a time")
                if Task.isCancelled {
                    continuation.resume(returning: false)
                } else if control(EPOLL_CTL_ADD, descriptor, events | linux_EPOLLONESHOT) == 0 {
                    waits[descriptor] = DescriptorWait(ticket: ticket, continuation: continuation)
                } else {
                    continuation.resume(returning: true)
                }
            }
        } onCancel: {
            onLoop { loop in
                if loop.waits[descriptor]?.ticket == ticket { loop.finishWait(descriptor, ready: false) }
            }
        }
        if !isReady { throw CancellationError() }
    }

    func finishWait(_ descriptor: CInt, ready: Bool) {
        guard let wait = waits.removeValue(forKey: descriptor) else { return }
        control(EPOLL_CTL_DEL, descriptor, 0)
        wait.continuation.resume(returning: ready)
    }

    /// Waits for `duration` by the loop's clock: as `Task.sleep`, without other threads. Must be called by a task that
    /// runs on this loop.
    ///
    /// - Throws: `CancellationError` when the task is cancelled first.
    public nonisolated(nonsending) func sleep(for duration: Duration) async throws(CancellationError) {
        checkIsolated()
        let ticket = nextTicket()
        let deadline = MonotonicClock.now() + duration
        let isDue = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                if Task.isCancelled {
                    continuation.resume(returning: false)
                } else {
                    timers.append(Timer(ticket: ticket, deadline: deadline, continuation: continuation))
                }
            }
        } onCancel: {
            onLoop { loop in
                guard let index = loop.timers.firstIndex(where: { $0.ticket == ticket }) else { return }
                loop.timers.remove(at: index).continuation.resume(returning: false)
            }
        }
        if !isDue { throw CancellationError() }
    }

    /// A number that no other waiter of this loop has.
    func nextTicket() -> UInt64 {
        lastTicket &+= 1
        return lastTicket
    }

    func fireTimers() {
        guard !timers.isEmpty else { return }
        let now = MonotonicClock.now()
        var index = 0
        while index < timers.count {
            if timers[index].deadline <= now {
                timers.remove(at: index).continuation.resume(returning: true)
            } else {
                index += 1
            }
        }
    }

    /// Has `action` done on the loop's thread: now if this is it, else soon.
    func onLoop(_ action: @escaping @Sendable (EventLoop) -> Void) {
        if isCurrent {
            action(self)
        } else {
            Task(executorPreference: self) { action(self) }
        }
    }
}

/// Signals as something a task can wait for. The signals are blocked for the thread that makes this, and threads made
/// after it; make it first.
package final class SignalWatch: Sendable {
    private let descriptor: CInt

    /// Takes over `signals`.
    package init(_ signals: [CInt]) throws(DeviceError) {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        descriptor = signalfd(-1, &set, linux_SFD_NONBLOCK_CLOEXEC)
        guard descriptor >= 0 else { throw .system("signal descriptor", errno) }
    }

    deinit { Glibc.close(descriptor) }

    /// Waits for the next of the signals and says which it was.
    package nonisolated(nonsending) func next(on loop: EventLoop) async throws(CancellationError) -> CInt {
        while true {
            var information = signalfd_siginfo()
            let size = MemoryLayout<signalfd_siginfo>.size
            if Glibc.read(descriptor, &information, size) == size { return CInt(information.ssi_signo) }
            try await loop.wait(for: .readable, at: descriptor)
        }
    }
}
