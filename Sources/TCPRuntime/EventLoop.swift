internal import CLinux
internal import Glibc
internal import Synchronization
internal import TCPWire

/// What a loop drives: a host with its device. Called on the loop's thread only.
protocol LoopClient: AnyObject, Sendable {
    /// The descriptor became ready.
    nonisolated func descriptorReady(readable: Bool, writable: Bool)
    /// Takes what has arrived and is due; resumes whom it concerns.
    /// Returns whether anything came.
    nonisolated func receiveTurn() -> Bool
    /// Sends what there is. Returns whether another turn has work right away.
    nonisolated func transmitTurn() -> Bool
    /// When the next turn is wanted at the latest.
    nonisolated func nextDeadline() -> Instant?
    /// The loop's `wake` was called.
    nonisolated func poked()
}

/// What `run(_:)` waits for.
private final class Outcome<Value: Sendable>: Sendable {
    let result = Mutex<Result<Value, any Error>?>(nil)
}

/// One thread that waits for devices and timers and runs tasks in between: the runtime has no other.
///
/// A loop is an executor. Tasks started by `Task(executorPreference: loop)` run on its thread, and so do the hosts that
/// belong to it: between them a call is a function call and a short hop, never a change of thread. A program whose `main`
/// is synchronous and calls `run(_:)` stays single-threaded.
public final class EventLoop: SerialExecutor, TaskExecutor, @unchecked Sendable {
    // Loop-confined, but for what the two atomics and the mutex hold.
    var local: [UnownedJob] = []
    private var running: [UnownedJob] = []
    var clients: [any LoopClient] = []
    var waits: [CInt: DescriptorWait] = [:]
    var watched: [CInt: any LoopClient] = [:]
    var timers: [Timer] = []
    var lastTicket: UInt64 = 0
    private var isPoked = false
    /// Nanoseconds to look for more after a packet came, before the thread sleeps.
    private let spin: Int64
    private var hasReceived = false
    private var lastPacketAt = Instant(nanoseconds: .min / 2)
    let epoll: CInt
    private let wakeup: CInt
    private let owner = Atomic<UInt>(0)
    private let stopRequested = Atomic<Bool>(false)
    private let isWakePending = Atomic<Bool>(false)
    private let remote = Mutex<[UnownedJob]>([])

    /// Makes a loop that no thread runs yet.
    ///
    /// - Parameter spin: how long after a packet the loop goes on looking for the next before it sleeps. An answer that
    ///   comes within this time costs no wake-up, which on Linux takes longer than the whole way through the stack. Zero
    ///   sleeps at once.
    /// - Throws: `DeviceError.system` when there are no descriptors left.
    public init(spin: Duration = .microseconds(30)) throws(DeviceError) {
        // With one processor the peer could not run meanwhile.
        self.spin = sysconf(CInt(_SC_NPROCESSORS_ONLN)) > 1 ? spin.nanoseconds : 0
        epoll = epoll_create1(linux_EPOLL_CLOEXEC)
        guard epoll >= 0 else { throw .system("epoll descriptor", errno) }
        wakeup = eventfd(0, linux_EFD_NONBLOCK_CLOEXEC)
        guard wakeup >= 0 else {
            let number = errno
            Glibc.close(epoll)
            throw .system("event descriptor", number)
        }
        var event = epoll_event()
        event.events = linux_EPOLLIN
        event.data.u64 = UInt64(wakeup)
        epoll_ctl(epoll, EPOLL_CTL_ADD, wakeup, &event)
    }

    deinit {
        Glibc.close(wakeup)
        Glibc.close(epoll)
    }

    // MARK: Running

    /// Runs `body` as a task on this loop, on the calling thread, and returns when it has ended. The thread must not be
    /// running a loop already.
    public func run<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
        let outcome = Outcome<Value>()
        Task(executorPreference: self) {
            do {
                let value = try await body()
                outcome.result.withLock { $0 = .success(value) }
            } catch {
                outcome.result.withLock { $0 = .failure(error) }
            }
            self.stop()
        }
        run()
        guard let result = outcome.result.withLock({ $0 }) else { throw CancellationError() }
        return try result.get()
    }

    /// Runs the loop on the calling thread until `stop()`.
    public func run() {
        let me = UInt(pthread_self())
        let (exchanged, _) = owner.compareExchange(expected: 0, desired: me, ordering: .sequentiallyConsistent)
        precondition(exchanged, "a loop runs on one thread at a time")
        while !stopRequested.load(ordering: .acquiring) { turn() }
        stopRequested.store(false, ordering: .releasing)
        owner.store(0, ordering: .sequentiallyConsistent)
    }

    /// Runs the loop on a thread of its own until `stop()`. For programs whose main thread has its own business.
    ///
    /// - Throws: `DeviceError.system` when there is no thread to be had.
    public func startThread() throws(DeviceError) {
        let box = Unmanaged.passRetained(self).toOpaque()
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { box in
                Unmanaged<EventLoop>.fromOpaque(box!).takeRetainedValue().run()
                return nil
            }, box)
        guard status == 0 else {
            Unmanaged<EventLoop>.fromOpaque(box).release()
            throw .system("thread", status)
        }
        pthread_detach(thread)
    }

    /// Makes `run` return after the turn it is in. May be called from any thread.
    public func stop() {
        stopRequested.store(true, ordering: .releasing)
        wake()
    }

    /// Whether the calling thread is the loop's.
    public var isCurrent: Bool { owner.load(ordering: .relaxed) == UInt(pthread_self()) }

    /// Ends the loop's sleep, if it sleeps, so that it looks at every device again. May be called from any thread.
    public func wake() {
        if isCurrent {
            isPoked = true
        } else if !isWakePending.exchange(true, ordering: .acquiringAndReleasing) {
            var one: UInt64 = 1
            _ = Glibc.write(wakeup, &one, 8)
        }
    }

    // MARK: The executor

    /// Queues a job; of the runtime's business only.
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if isCurrent {
            local.append(job)
        } else {
            remote.withLock { $0.append(job) }
            wake()
        }
    }

    /// See `SerialExecutor`.
    public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    /// See `SerialExecutor`.
    public func checkIsolated() { precondition(isCurrent, "this must run on its loop's thread") }

    /// See `SerialExecutor`.
    public func isIsolatingCurrentContext() -> Bool? { isCurrent }

    // MARK: One turn

    private func turn() {
        // Several rounds to a wait: a busy link costs no epoll call per burst.
        var again = false
        for _ in 0..<16 {
            // What the search before this turn found is answered before more is asked for.
            if !hasReceived { receive() }
            hasReceived = false
            fireTimers()
            runJobs()
            again = isPoked
            if isPoked {
                isPoked = false
                for client in clients { client.poked() }
            }
            for client in clients where client.transmitTurn() { again = true }
            again = again || isPoked
            if !again || stopRequested.load(ordering: .relaxed) { break }
        }
        let isBusy = again || !local.isEmpty
        if !isBusy, spinsForPacket() { return }
        wait(isBusy: isBusy)
    }

    private func receive() {
        var received = false
        for client in clients where client.receiveTurn() { received = true }
        if received, spin > 0 { lastPacketAt = MonotonicClock.now() }
    }

    /// Looks for a packet for as long as one is likely; says whether there is something to do.
    private func spinsForPacket() -> Bool {
        let end = lastPacketAt.advanced(byNanoseconds: spin)
        var now = MonotonicClock.now()
        guard now < end else { return false }
        let deadline = earliestDeadline()
        while now < end {
            var received = false
            for client in clients {
                client.descriptorReady(readable: true, writable: false)
                if client.receiveTurn() { received = true }
            }
            now = MonotonicClock.now()
            if received {
                lastPacketAt = now
                hasReceived = true
                return true
            }
            // What came due was seen to by that turn, and what it made ready has to leave.
            if let deadline, deadline <= now { return true }
            if !local.isEmpty { return true }
            if stopRequested.load(ordering: .relaxed) || isWakePending.load(ordering: .relaxed) { return false }
        }
        return false
    }

    /// Runs what is queued, and what that queues, within reason: the links come first.
    private func runJobs() {
        let serial = asUnownedSerialExecutor()
        let task = asUnownedTaskExecutor()
        var passes = 0
        while !local.isEmpty, passes < 32 {
            passes += 1
            swap(&local, &running)
            for index in running.indices {
                running[index].runSynchronously(isolatedTo: serial, taskExecutor: task)
            }
            running.removeAll(keepingCapacity: true)
        }
    }

    private func wait(isBusy: Bool) {
        var timeout: Int64 = -1
        if isBusy || stopRequested.load(ordering: .relaxed) {
            timeout = 0
        } else if let deadline = earliestDeadline() {
            timeout = max(0, deadline.nanoseconds &- MonotonicClock.now().nanoseconds)
        }
        withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 32) { events in
            let count = Int(linux_epoll_wait(epoll, events.baseAddress!, 32, timeout))
            guard count > 0 else { return }
            for index in 0..<count { dispatch(events[index]) }
        }
    }

    private func earliestDeadline() -> Instant? {
        var earliest: Instant?
        for client in clients {
            guard let deadline = client.nextDeadline() else { continue }
            earliest = earliest.map { min($0, deadline) } ?? deadline
        }
        for timer in timers { earliest = earliest.map { min($0, timer.deadline) } ?? timer.deadline }
        return earliest
    }

    private func dispatch(_ event: epoll_event) {
        let descriptor = CInt(truncatingIfNeeded: event.data.u64)
        if descriptor == wakeup {
            var count: UInt64 = 0
            _ = Glibc.read(wakeup, &count, 8)
            isWakePending.store(false, ordering: .sequentiallyConsistent)
            adoptRemoteJobs()
            for client in clients { client.poked() }
        } else if let client = watched[descriptor] {
            let failed = event.events & (linux_EPOLLERR | linux_EPOLLHUP) != 0
            client.descriptorReady(
                readable: failed || event.events & linux_EPOLLIN != 0,
                writable: failed || event.events & linux_EPOLLOUT != 0)
        } else {
            finishWait(descriptor, ready: true)
        }
    }

    private func adoptRemoteJobs() {
        remote.withLock { jobs in
            local.append(contentsOf: jobs)
            jobs.removeAll(keepingCapacity: true)
        }
    }
}
