import Glibc
import TCPSockets
import TCPWire

/// One kernel behind a table, for the two threads of a packetdrill binary: the one that made it, and the one that runs a call
/// which may block. Everything but `main` and `limit` is used with the lock held only, which makes it safe to share.
final class Adapter: @unchecked Sendable {
    private let kernel: VirtualKernel
    /// How long `netdev_receive`, or a call of the main thread that blocks, waits in virtual time.
    private let limit: Duration
    private let main = pthread_self()
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// Calls whose threads sleep in them.
    private var blocked: [CallID] = []
    /// When a thread that was woken is to believe it is, at its next look at the clock.
    private var wakeTimes: [(thread: pthread_t, time: Instant)] = []
    /// Whether this host has an address of each family.
    private var hasIPv4 = false
    private var hasIPv6 = false

    /// What the tool takes for this host's addresses when nobody says otherwise.
    private static let defaultIPv4 = IPAddress(192, 168, 0, 1)
    private static let defaultIPv6 = IPAddress(high: 0xFD3D_0A0B_17D6_0000, low: 1)

    init(_ flags: Flags) {
        kernel = VirtualKernel(flags.settings)
        limit = flags.limit
        pthread_mutex_init(lock, nil)
        pthread_cond_init(changed, nil)
        for prefix in flags.settings.addresses { note(prefix.address) }
        // The caller closes what its script leaves open, so the numbers must be real.
        kernel.makeDescriptor = {
            let descriptor = open("/dev/null", O_RDWR | O_CLOEXEC)
            return descriptor < 0 ? nil : descriptor
        }
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(lock)
        changed.deallocate()
        lock.deallocate()
    }

    private func locked<Value>(_ body: () -> Value) -> Value {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return body()
    }

    // MARK: This host's addresses

    private func note(_ address: IPAddress) {
        if address.isIPv4 { hasIPv4 = true } else { hasIPv6 = true }
    }

    /// Takes an address for this host's if it has none of that family: the table says nothing about it.
    private func learn(_ address: IPAddress) {
        guard !(address.isIPv4 ? hasIPv4 : hasIPv6), address.isValidSource else { return }
        kernel.addAddress(AddressPrefix(address, length: address.bitWidth))
        note(address)
    }

    private func learn(from call: SystemCall) {
        switch call {
        case .bind(_, let address): learn(address.address)
        case .connect(_, let address):
            learn(address.address.isIPv4 ? Adapter.defaultIPv4 : Adapter.defaultIPv6)
        default: break
        }
    }

    // MARK: Calls

    /// Makes a call. One that blocks keeps a thread of its own asleep; in the main thread nothing else could happen
    /// meanwhile, so there time passes, as far as the limit, and then the call is interrupted.
    func perform(_ call: SystemCall) -> CallResult {
        locked {
            learn(from: call)
            let id = kernel.submit(call)
            wake()
            if kernel.result(of: id) == nil {
                if pthread_equal(main, pthread_self()) != 0 { passTime(for: id) } else { sleep(in: id) }
            }
            defer { kernel.forget(id) }
            return kernel.result(of: id) ?? CallResult(.EINTR)
        }
    }

    func owns(_ descriptor: Int32) -> Bool { locked { kernel.status(of: descriptor) != nil } }

    private func sleep(in id: CallID) {
        blocked.append(id)
        while kernel.result(of: id) == nil { pthread_cond_wait(changed, lock) }
        blocked.removeAll { $0 == id }
        if let result = kernel.result(of: id) { wakeTimes.append((pthread_self(), result.time)) }
        pthread_cond_broadcast(changed)
    }

    private func passTime(for id: CallID) {
        let end = kernel.now + limit
        while kernel.result(of: id) == nil, let next = kernel.nextDeadline, next <= end { step(to: next) }
    }

    /// Threads whose calls are done leave them before anything else happens: runs are equal that way.
    private func wake() {
        while blocked.contains(where: { kernel.result(of: $0) != nil }) {
            pthread_cond_broadcast(changed)
            pthread_cond_wait(changed, lock)
        }
    }

    // MARK: Time

    private func step(to time: Instant) {
        kernel.advance(to: time)
        wake()
    }

    private func pass(to time: Instant) {
        while let next = kernel.nextDeadline, next <= time { step(to: next) }
        step(to: time)
    }

    func sleep(microseconds: UInt32) {
        locked { pass(to: kernel.now + .microseconds(Int64(microseconds))) }
    }

    /// The time, which each look moves on by a microsecond: the caller spins on it.
    func timeOfDay() -> Instant {
        locked {
            if let index = wakeTimes.firstIndex(where: { pthread_equal($0.thread, pthread_self()) != 0 }) {
                return wakeTimes.remove(at: index).time
            }
            pass(to: kernel.now + .microseconds(1))
            return kernel.now
        }
    }

    // MARK: Packets

    func inject(_ packet: [UInt8]) {
        locked {
            if let header = try? IPHeader(parsing: packet.span.bytes) { learn(header.destination) }
            kernel.inject(packet)
            wake()
        }
    }

    /// The next packet that leaves; `nil` when none will for as long as the limit says. The time is then that much later.
    func nextPacket() -> OutgoingPacket? {
        locked {
            let end = kernel.now + limit
            while true {
                if let packet = kernel.nextPacket() { return packet }
                guard let next = kernel.nextDeadline, next <= end else { break }
                step(to: next)
            }
            step(to: end)
            return kernel.nextPacket()
        }
    }

    var now: Instant { locked { kernel.now } }
}
