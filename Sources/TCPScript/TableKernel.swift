internal import Glibc
internal import Synchronization
internal import TCPEngine
public import TCPSockets
public import TCPWire

/// A stack behind the table of calls that a packetdrill binary uses. Time is told by the table alone, a call that blocks runs in
/// a thread of its own, and nobody can look inside: the script is played as the tool would play it.
public final class TableKernel: ScriptKernel {
    private let table: SystemCallTable
    private let settings: KernelSettings
    private var time: Instant
    private var results: [CallID: CallResult] = [:]
    private var running: [CallID: Waiter] = [:]
    private var nextNumber = 0
    private var descriptors: Set<Int32> = []
    /// The stack has said that nothing will leave any more.
    private var isSilent = false

    /// Opens the library, with these settings as its flags. The stack is freed when this kernel goes.
    ///
    /// - Throws: `TableError` when the library is none, or its stack cannot be made.
    public init(library path: String, _ settings: KernelSettings) throws(TableError) {
        self.settings = settings
        table = try SystemCallTable(library: path, flags: TableKernel.flags(settings))
        time = table.timeOfDay()
    }

    deinit {
        // A stack that a thread still sleeps in cannot be freed: its memory is the price of a script that failed there.
        if running.isEmpty { table.free() }
    }

    /// What of these settings the table's flags have no word for; `nil` when they can tell all.
    static func gap(in settings: KernelSettings) -> String? {
        let plain = KernelSettings()
        if settings.keepAliveIdle != plain.keepAliveIdle || settings.keepAliveInterval != plain.keepAliveInterval {
            return "the library's flags have no word for keep-alive times"
        }
        if settings.synAckRetries != plain.synAckRetries {
            return "the library's flags have no word for how often a SYN-ACK is sent again"
        }
        if settings.baseSegmentSize != plain.baseSegmentSize {
            return "the library's flags have no word for the base of path MTU probing"
        }
        return settings.windowScaling ? nil : "the library's flags have no word for a stack without window scaling"
    }

    /// The settings in the words of the table's flags.
    static func flags(_ settings: KernelSettings) -> String {
        var words = settings.addresses.map { "local=\($0.address)" }
        words += [
            "mtu=\(settings.mtu)", "rcvbuf=\(settings.receiveBuffer)", "sndbuf=\(settings.sendBuffer)",
            "ackpolicy=\(settings.acknowledgmentPolicy == .linux ? "linux" : "rfc")",
            "rtomin=\(settings.minimumRTO.nanoseconds / 1_000_000)",
            "rto=\(settings.initialRTO.nanoseconds / 1_000_000)",
            "ts=\(settings.timestamps ? 1 : 0)", "sack=\(settings.selectiveAcknowledgment ? 1 : 0)",
            "msl=\(settings.maximumSegmentLifetime.nanoseconds / 1_000_000_000)",
            "flavour=\(settings.flavour == .linux ? "linux" : "freebsd")",
            // Scripts may wait for hours.
            "limit=100000",
        ]
        if let scale = settings.windowScale { words.append("wscale=\(scale)") }
        if settings.mtuProbing != KernelSettings().mtuProbing { words.append("mtuprobing=\(settings.mtuProbing)") }
        if let window = settings.initialWindow { words.append("iw=\(window)") }
        words += ["tfo=\(settings.fastOpen)", "ecn=\(settings.explicitCongestionNotification)"]
        words.append("tlp=\(settings.tailLossProbes ? 1 : 0)")
        words += ["cc=\(settings.congestionControl.linuxName)", "frto=\(settings.forwardRTO ? 1 : 0)"]
        if settings.fastOpenKey.count == 16 {
            let digits = settings.fastOpenKey.map { String(256 + Int($0), radix: 16).dropFirst() }
            words.append("tfokey=\(digits.joined())")
        }
        return words.joined(separator: ",")
    }

    /// See `ScriptKernel`. The key was told to the library, so its cookies are known.
    public func fastOpenCookie(client: IPAddress, server: IPAddress) -> [UInt8]? {
        guard settings.fastOpenKey.count == 16 else { return nil }
        return VirtualKernel(settings).fastOpenCookie(client: client, server: server)
    }

    /// See `ScriptKernel`.
    public var now: Instant { time }

    /// See `ScriptKernel`.
    public func advance(to target: Instant) {
        time = max(time, table.timeOfDay())
        while time < target {
            let rest = (target - time).nanoseconds / 1000
            guard rest > 0 else { break }
            table.sleep(microseconds: UInt32(clamping: min(rest, 1_000_000_000)))
            time = max(time, table.timeOfDay())
        }
    }

    /// See `ScriptKernel`.
    public func inject(_ packet: [UInt8]) {
        _ = table.inject(packet)
        isSilent = false
    }

    /// See `ScriptKernel`.
    public func packet(before limit: Instant) -> OutgoingPacket? {
        // The table waits until something leaves, however long; its answer may lie behind the limit.
        guard !isSilent, let packet = table.nextPacket() else { return nil }
        guard packet.octets.count > 1 else {
            isSilent = true
            return nil
        }
        time = max(time, packet.time)
        return packet
    }

    // MARK: Calls

    /// See `ScriptKernel`.
    public func submit(_ call: SystemCall, blocks: Bool) -> CallID {
        let id = CallID(number: nextNumber)
        nextNumber += 1
        isSilent = false
        guard blocks else {
            var result = table.perform(call)
            result.time = table.timeOfDay()
            results[id] = result
            return id
        }
        running[id] = Waiter(table, call)
        return id
    }

    /// See `ScriptKernel`.
    public func result(of call: CallID) -> CallResult? {
        if let waiter = running[call], let result = waiter.result() {
            running[call] = nil
            results[call] = result
        }
        return results[call]
    }

    /// See `ScriptKernel`.
    public func result(of call: CallID, before limit: Instant) -> CallResult? {
        while true {
            if let result = result(of: call) { return result }
            guard time < limit else { return nil }
            advance(to: min(limit, time.advanced(byNanoseconds: 1_000_000)))
        }
    }

    /// See `ScriptKernel`.
    public func information(of descriptor: Int32) -> [String: Int64]? {
        let result = table.perform(
            .getsockopt(descriptor, level: Linux.SOL_TCP, name: Linux.TCP_INFO, length: TCPInfo.size))
        guard result.value == 0, result.option.count == TCPInfo.size else { return nil }
        var information: [String: Int64] = [:]
        for field in TCPInfo().layout {
            let octets = result.option[field.offset..<field.offset + field.width]
            information[field.name] = octets.reversed().reduce(0) { $0 << 8 | Int64($1) }
        }
        information["tcpi_snd_wscale"] = Int64(result.option[6] & 15)
        information["tcpi_rcv_wscale"] = Int64(result.option[6] >> 4)
        information["tcpi_delivery_rate_app_limited"] = Int64(result.option[7] & 1)
        return information
    }

    /// See `ScriptKernel`.
    public func describeConnections() -> [String] {
        ["the connections are behind the table of calls, and cannot be seen"]
    }
}

/// A call that blocks, and the thread it blocks.
private final class Waiter: Sendable {
    private struct State {
        /// The thread's number, once it runs.
        var thread = ""
        var result: CallResult?
    }

    private let table: SystemCallTable
    private let call: SystemCall
    private let state = Mutex(State())

    /// Makes the call; returns once it is done or its thread sleeps in it.
    init(_ table: SystemCallTable, _ call: SystemCall) {
        self.table = table
        self.call = call
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self).toOpaque()
        let code = pthread_create(
            &thread, nil,
            { context in
                Unmanaged<Waiter>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            }, context)
        guard code == 0 else {
            Unmanaged<Waiter>.fromOpaque(context).release()
            state.withLock { $0.result = CallResult(.EAGAIN) }
            return
        }
        pthread_detach(thread)
        _ = result()
    }

    private func run() {
        var name = [CChar](repeating: 0, count: 64)
        let count = readlink("/proc/thread-self", &name, name.count - 1)
        let path = String(decoding: name.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        state.withLock { $0.thread = path }
        var result = table.perform(call)
        result.time = table.timeOfDay()
        state.withLock { $0.result = result }
    }

    /// What the call came to; `nil` when its thread sleeps in it. A thread that runs is waited for.
    func result() -> CallResult? {
        while true {
            let (thread, result) = state.withLock { ($0.thread, $0.result) }
            if let result { return result }
            if !thread.isEmpty, isAsleep(thread) { return nil }
            sched_yield()
        }
    }

    private func isAsleep(_ thread: String) -> Bool {
        // The state is the letter behind the name, which stands in parentheses.
        guard let status = try? ScriptFiles.read("/proc/\(thread)/stat"),
            let end = status.lastIndex(of: UInt8(ascii: ")")), end + 2 < status.count
        else { return false }
        return status[end + 2] == UInt8(ascii: "S")
    }
}
