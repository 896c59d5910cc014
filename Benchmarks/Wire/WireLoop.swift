import CLinux
import Glibc
import TCPRuntime
import TCPSimulator
import TCPStack
import TCPWire

/// Drives a wire in real time: between the kernels behind two TUN interfaces, or between one of them and our stack,
/// which then runs on this thread. One run has one loop.
///
/// It sleeps until shortly before something is due, and looks for it from then on: what a sleeping thread wakes up late
/// by would add to every delay.
final class WireLoop {
    let wire: Wire
    /// How late each packet was handed over, in nanoseconds.
    private(set) var lateness: [Int64] = []
    /// Packets that a kernel did not take.
    private(set) var refused = 0

    private let devices: [TUNDevice]
    private let stack: (end: Wire.End, stack: WireStack)?
    private let epoll: CInt
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_632, alignment: 64)

    /// What is looked for instead of slept through, in nanoseconds: the kernel's timer slack of 50 µs, and what it
    /// takes to wake up.
    private static let wakeUp: Int64 = 120_000
    /// The longest sleep, so that the end is seen.
    private static let longestSleep: Int64 = 5_000_000

    init(_ wire: Wire, _ place: WirePlace, _ stack: (end: Wire.End, stack: WireStack)?) throws {
        self.wire = wire
        self.stack = stack
        devices = [place.left.device, place.right.device]
        epoll = epoll_create1(linux_EPOLL_CLOEXEC)
        guard epoll >= 0 else { throw BenchmarkFailure("no epoll descriptor: \(errorText(errno))") }
        for device in devices {
            var event = epoll_event()
            event.events = linux_EPOLLIN
            epoll_ctl(epoll, EPOLL_CTL_ADD, device.descriptor!, &event)
        }
    }

    deinit {
        close(epoll)
        buffer.deallocate()
    }

    /// Throws away what the kernels sent before.
    func drain() throws {
        var span = MutableRawSpan(_unsafeBytes: buffer)
        for device in devices { while try device.read(into: &span) != nil {} }
    }

    /// Carries packets until `isOver`, and a little longer; no longer than `limit` after now.
    ///
    /// - Returns: whether it was over in time.
    func run(limit: Duration, linger: Duration, until isOver: () -> Bool) throws -> Bool {
        let latest = MonotonicClock.now() + limit
        var end: Instant?
        try stack?.stack.start(at: MonotonicClock.now())
        while true {
            let worked = try turn()
            let now = MonotonicClock.now()
            if end == nil, isOver() { end = now + linger }
            if let end, now >= end { return true }
            if now >= latest { return end != nil }
            if !worked { wait(now) }
        }
    }

    /// Everything that is there and due, once. Says whether there was anything.
    private func turn() throws -> Bool {
        var worked = false
        while try deliver() { worked = true }
        for end in [Wire.End.left, .right] where try read(end) { worked = true }
        guard let (end, stack) = stack else { return worked }
        let now = MonotonicClock.now()
        try stack.run(at: now) { packet in
            wire.offer(packet, from: end, at: now)
            worked = true
        }
        return worked
    }

    private func deliver() throws -> Bool {
        let now = MonotonicClock.now()
        return try wire.deliver(at: now) { packet, end, due in
            lateness.append((now - due).nanoseconds)
            if let stack, stack.end == end {
                stack.stack.receive(packet, at: now)
            } else {
                let shape = TransmittedPacket(
                    length: packet.byteCount, headerLength: packet.byteCount, transportOffset: 20)
                if try !devices[end.rawValue].write(packet, shape) { refused += 1 }
            }
        }
    }

    /// Takes a burst from the kernel at `end`; what it says while our stack plays its part is thrown away.
    private func read(_ end: Wire.End) throws -> Bool {
        var worked = false
        for _ in 0..<64 {
            var span = MutableRawSpan(_unsafeBytes: buffer)
            guard let packet = try devices[end.rawValue].read(into: &span) else { break }
            worked = true
            if let stack, stack.end == end { continue }
            wire.offer(span.bytes.extracting(0..<packet.length), from: end, at: MonotonicClock.now())
        }
        return worked
    }

    private func wait(_ now: Instant) {
        var next = now.advanced(byNanoseconds: WireLoop.longestSleep &+ WireLoop.wakeUp)
        if let arrival = wire.nextArrival { next = min(next, arrival) }
        if let deadline = stack?.stack.nextDeadline { next = min(next, deadline) }
        let sleep = (next - now).nanoseconds &- WireLoop.wakeUp
        guard sleep > 0 else { return }
        withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 2) { events in
            _ = linux_epoll_wait(epoll, events.baseAddress!, 2, sleep)
        }
    }
}
