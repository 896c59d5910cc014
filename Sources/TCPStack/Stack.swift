import TCPEngine
public import TCPWire

/// A TCP/IP host that a program carries inside itself. Packets and the time go in; packets, events and one deadline come
/// out. It reads no clock, starts no thread, calls nobody: one owner uses it, from one thread at a time.
///
/// ```
/// loop: receive(packet, at: now) … advance(to: now) … nextEvent() … transmit(into: &buffer, at: now) … wait
/// ```
public struct Stack: ~Copyable {
    let configuration: Configuration
    let secret: StackSecret
    var context: Context
    var tables = Tables()
    var flowTable: FlowTable
    var wheel: TimingWheel
    var addresses: [LocalAddress] = []
    var routes: [Route] = []
    var interfaces: InlineArray<8, NetworkInterface>
    var interfaceCount = 1
    var listeners: [Listener] = []
    var counts = Counters()
    var changes: [StateChange] = []
    var changesHead = 0

    // Intrusive lists through the connections' records.
    var ready = ListEnds()
    /// Released connections, the oldest first.
    var orphans = ListEnds()
    /// Connections whose writes found no memory, in the order in which they are told of some.
    var waitingForMemory = ListEnds()
    /// Connections whose writes found that they hold their share of scarce memory.
    var waitingForShare = ListEnds()
    var acceptable: [ListenerID] = []
    var timeWaits = TimeWaitList()

    var nextGeneration: UInt32 = 1
    var portCounters: InlineArray<16, UInt32> = .init(repeating: 0)
    var identifications = Identifications()
    var errorLimit = ErrorLimit()
    var paths = PathTable()
    var fragments: FragmentTable
    var udp: UDPTable
    var halfOpenCount = 0
    /// Bytes of the budget that Ethernet links hold.
    var linkBytes = 0
    var sources = SourceCounts()
    /// Keys of Fast Open that were given, instead of those made of the secret.
    var fastOpenKeys: FastOpenKeys?
    var fastOpenCookies: FastOpenCookies
    /// The last level that the program was told of.
    var toldLevel = MemoryLevel.ample
    /// When memory that lies idle is looked at again.
    var trimAt = Instant.distantFuture

    /// Makes a stack without an address.
    public init(configuration: Configuration = Configuration(), secret: StackSecret, at now: Instant = .zero) {
        self.configuration = configuration
        self.secret = secret
        context = Context(
            parameters: configuration.parameters, budget: configuration.memoryBudget,
            marks: configuration.memoryLevels.marks(of: configuration.memoryBudget), now: now)
        context.recordsMoves = configuration.recordsStateChanges
        flowTable = FlowTable(&context.budget)
        udp = UDPTable(&context.budget)
        wheel = TimingWheel(at: now)
        _ = context.budget.reserve(wheel.bytes)
        interfaces = InlineArray { _ in NetworkInterface() }
        interfaces[0].link = configuration.link
        interfaces[0].control.prepare(&context.budget)
        fragments = FragmentTable(configuration.fragmentLimits)
        fastOpenCookies = FastOpenCookies(limit: configuration.fastOpenCookies)
    }

    // Embedded Swift destroys values of another module only through a deinit it can see, and the parts' are not public.
    deinit {}

    /// What has been counted since the stack was made.
    public var counters: Counters {
        var result = counts
        result.segmentsRetransmitted = context.retransmittedSegments
        result.challengeAcknowledgments &+= context.challengeAcknowledgments
        result.recoveries = context.recoveries
        result.retransmissionTimeouts = context.timeouts
        result.spuriousRecoveries = context.spuriousRecoveries
        result.tailLossProbes = context.tailProbes
        result.blackHoles = context.blackHoles
        result.pathProbesSent = context.probesSent
        result.pathProbesLost = context.probesLost
        result.impossibleStates = context.impossibleMoves
        result.memoryRefusals = context.budget.refusals
        result.segmentsRefused = context.refusedSegments
        result.congestionMarksReceived = context.marksReceived
        result.congestionEchoesReceived = context.echoesReceived
        result.reductionsByMarks = context.reductionsByMarks
        result.reductionsTold = context.reductionsTold
        return result
    }

    /// What the stack holds, in bytes by kind.
    public var memory: MemoryReport {
        var report = MemoryReport()
        report.connections = tables.connections.bytes
        report.smallEntries = tables.entries.bytes
        report.tables = flowTable.bytes &+ wheel.bytes &+ udp.flows.bytes
        report.datagramSockets = udp.sockets.bytes
        report.buffers = context.pool.usedBytes &+ context.pool.indexBytes &- fragments.blockBytes
        report.fragments = fragments.bytes &+ fragments.blockBytes
        report.idleBuffers = context.pool.idleBytes
        report.recovery = context.recoveryBytes
        for link in 0..<interfaceCount { report.replies &+= interfaces[link].control.bytes }
        report.listeners = listeners.count &* Listener.cost
        report.routing =
            addresses.count &* MemoryLayout<LocalAddress>.stride &+ routes.count &* MemoryLayout<Route>.stride
        report.neighbors = linkBytes
        report.fastOpenCookies = fastOpenCookies.bytes
        report.datagramSocketCount = udp.sockets.count
        for listener in listeners { report.listeners &+= listener.queue.bytes }
        report.connectionCount = tables.connections.count
        report.halfOpenCount = halfOpenCount
        report.timeWaitCount = tables.entries.count &- halfOpenCount
        return report
    }

    /// What the budget says is held, in bytes. `memory` counts the same where it lies, and must come to the same.
    package var budgetUsed: Int { context.budget.used }

    /// The next change of state, if the configuration asks for them to be kept. Take them often: they wait without limit.
    public mutating func nextStateChange() -> StateChange? {
        guard changesHead < changes.count else { return nil }
        let change = changes[changesHead]
        changesHead &+= 1
        if changesHead == changes.count {
            changes.removeAll(keepingCapacity: true)
            changesHead = 0
        }
        return change
    }

    mutating func record(_ key: FlowKey, from: State, to: State) {
        guard configuration.recordsStateChanges else { return }
        changes.append(
            StateChange(
                time: context.now, local: Endpoint(localAddress(key), key.localPort),
                remote: Endpoint(key.remote, key.remotePort), from: from, to: to))
    }

    /// All connections, half-open and TIME-WAIT entries, in no order. Its cost grows with their number: for tools.
    public func flows() -> [FlowStatus] {
        var result: [FlowStatus] = []
        var slot = tables.connections.next(from: 0)
        while let index = slot {
            if tables.connections[index].marks.contains(.inTable) {
                result.append(status(tables.connections[index].key, tables.connections[index].connection.state))
            }
            slot = tables.connections.next(from: index &+ 1)
        }
        slot = tables.entries.next(from: 0)
        while let index = slot {
            let isTimeWait = tables.entries[index].info.contains(.timeWait)
            result.append(status(tables.entries[index].key, isTimeWait ? .timeWait : .synReceived))
            slot = tables.entries.next(from: index &+ 1)
        }
        return result
    }

    private func status(_ key: FlowKey, _ state: State) -> FlowStatus {
        FlowStatus(
            local: Endpoint(localAddress(key), key.localPort), remote: Endpoint(key.remote, key.remotePort),
            state: state)
    }

}

extension Configuration {
    /// The same in the engine's units.
    var parameters: Parameters {
        var result = Parameters()
        result.congestionControl = congestionControl
        result.paces = pacing
        result.probesTail = probesTail
        result.usesForwardRTO = usesForwardRTO
        result.reportsDuplicates = reportsDuplicates
        result.explicitCongestion = explicitCongestionNotification
        result.initialRTO = initialRTO.nanoseconds
        result.minimumRTO = minimumRTO.nanoseconds
        result.maximumRTO = maximumRTO.nanoseconds
        result.delayedAcknowledgment = min(delayedAcknowledgment.nanoseconds, 499_000_000)
        result.userTimeout = userTimeout.nanoseconds
        result.openTimeout = openTimeout.nanoseconds
        result.orphanTimeout = orphanTimeout.nanoseconds
        result.zeroWindowTimeout = zeroWindowTimeout.map { max($0.nanoseconds, 1) } ?? .max
        result.sendBuffer = min(max(sendBuffer, 1), 1 << 30)
        result.receiveBuffer = mostForReading
        result.unsentBuffer = max(unsentBuffer, 1)
        result.windowScaling = windowScaling
        if !windowScaling { result.receiveBuffer = min(result.receiveBuffer, 65535) }
        result.initialSendBuffer = min(max(initialSendBuffer, 1), result.sendBuffer)
        result.initialReceiveBuffer = min(max(initialReceiveBuffer, 1), result.receiveBuffer)
        result.timestamps = timestamps
        result.selectiveAcknowledgment = selectiveAcknowledgment
        result.windowScale = min(windowScale ?? Parameters.windowScale(for: result.receiveBuffer), 14)
        result.quickAcknowledgments = UInt8(clamping: quickAcknowledgments)
        result.initialSegments = min(max(initialSegments ?? 0, 0), 100)
        result.blackHoleTimeouts = pathProbing == .off ? 0 : UInt8(clamping: max(blackHoleTimeouts, 1))
        result.baseSegmentSize = UInt16(clamping: baseSegmentSize)
        result.probesPathAlways = pathProbing == .always
        result.pathRaiseInterval = max(pathRaiseInterval.nanoseconds, 300_000_000_000)
        return result
    }

    /// `receiveBuffer`, or less where a connection that is alone could not come to have it: a scale for windows that are never
    /// told would only make small ones coarse.
    private var mostForReading: Int {
        let marks = memoryLevels.marks(of: max(memoryBudget, 0))
        // What the greatest field tells, with the scale of a power of two.
        let share = marks.holding / 2 &- marks.holding / 2 / 65536
        return min(max(receiveBuffer, 1), max(share, initialReceiveBuffer, 1), 1 << 30)
    }
}
