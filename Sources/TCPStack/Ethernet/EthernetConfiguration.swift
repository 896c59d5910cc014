/// What an Ethernet link is told when it is made. Numbers outside their range count as the nearest inside it.
public struct EthernetConfiguration: Sendable {
    /// How the lower 64 bits of an address are chosen.
    public enum InterfaceIdentifiers: Sendable {
        /// RFC 7217: from the secret and the prefix. They stay the same as long as the secret does, and tell nothing.
        case stable
        /// RFC 4291 appendix A: from the Ethernet address.
        case eui64
    }

    /// Whether the link gives itself IPv6 addresses (RFC 4862), and heeds routers' advertisements and redirects. Without it
    /// IPv6 needs an address of `addAddress`, which brings a link-local one with it.
    public var autoconfigures = true
    /// How the addresses the link gives itself are chosen.
    public var interfaceIdentifiers = InterfaceIdentifiers.stable
    /// Which of a host's interfaces this is: it enters into `.stable` identifiers (RFC 7217 §5, Net_Iface).
    public var interfaceNumber: UInt32 = 0

    /// Neighbors whose Ethernet address is kept: 1...4096. Past it one gives way: first those that were never found to be
    /// reachable, then the one that was not used for longest.
    public var neighbors = 512
    /// Neighbors that may be asked for at a time, besides: 1...1024. Past it the oldest question is given up: who makes
    /// this host ask for many addresses drives out no neighbor that answered (RFC 6583 §6).
    public var resolvingNeighbors = 64
    /// Packets that wait for one neighbor: 1...64. Past it the oldest is dropped (RFC 1122 §2.3.2.2, RFC 4861 §7.2.2).
    public var waitingPackets = 8
    /// Bytes that packets may take that wait for neighbors, in all: at least one packet may always wait.
    public var waitingBytes = 256 << 10
    /// Frames of the link itself that may wait for the device: 16...4096. Past it replies are dropped.
    public var waitingReplies = 256

    /// Requests for a neighbor before it counts as unreachable, and probes of one that was known: 1...16 (RFC 4861 §10,
    /// MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT).
    public var solicitations = 3
    /// Time between them, at least 1 s (RFC 1122 §2.3.2.1); doubled from request to request for IPv4. Routers may
    /// change it for IPv6 (RFC 4861 §10, RETRANS_TIMER).
    public var solicitationInterval: Duration = .seconds(1)
    /// How long a neighbor counts as reachable, on the average: 1 s...1 h. Routers may change it for IPv6 (RFC 4861 §10,
    /// REACHABLE_TIME).
    public var reachableTime: Duration = .seconds(30)
    /// How long word from above is waited for before a neighbor is probed (RFC 4861 §10, DELAY_FIRST_PROBE_TIME).
    public var delayBeforeProbe: Duration = .seconds(5)

    /// Probes for an IPv4 address before it is used: 0...16. With zero it is used, and announced, at once (RFC 5227 §1.1,
    /// PROBE_NUM).
    public var conflictProbes = 3
    /// The longest the first of them waits (PROBE_WAIT).
    public var conflictProbeWait: Duration = .seconds(1)
    /// The least time between them (PROBE_MIN).
    public var conflictProbeMinimum: Duration = .seconds(1)
    /// The most time between them (PROBE_MAX).
    public var conflictProbeMaximum: Duration = .seconds(2)
    /// How long a conflict is waited for after the last of them (ANNOUNCE_WAIT).
    public var announceWait: Duration = .seconds(2)
    /// Announcements of an IPv4 address: 1...16 (ANNOUNCE_NUM).
    public var announcements = 2
    /// Time between them (ANNOUNCE_INTERVAL).
    public var announceInterval: Duration = .seconds(2)
    /// An IPv4 address that is claimed by another twice within this time is given up (DEFEND_INTERVAL).
    public var defendInterval: Duration = .seconds(10)

    /// Solicitations for an IPv6 address before it is used: 0...16. With zero it is used at once (RFC 4862 §5.1,
    /// DupAddrDetectTransmits).
    public var duplicateAddressProbes = 1
    /// The longest that the first message of a link, and of an address a router made, waits: 0...10 s (RFC 4861 §10,
    /// MAX_RTR_SOLICITATION_DELAY).
    public var initialDelay: Duration = .seconds(1)
    /// How often another identifier is tried when an address has another owner: 0...16 (RFC 7217 §7, IDGEN_RETRIES).
    public var identifierRetries = 3
    /// Solicitations for routers: 0...16 (RFC 4861 §10, MAX_RTR_SOLICITATIONS).
    public var routerSolicitations = 3
    /// Time between them (RTR_SOLICITATION_INTERVAL).
    public var routerSolicitationInterval: Duration = .seconds(4)
    /// Default routers that are kept: 1...64.
    public var routers = 8
    /// Prefixes of routers that are kept as on the link: 1...256.
    public var prefixes = 16
    /// Addresses that may be made of routers' prefixes: 0...256.
    public var autoconfiguredAddresses = 16
    /// Destinations with another first hop that routers named: 0...256. Zero is to obey no redirect (RFC 4861 §8.3).
    public var redirects = 16
    /// How often a change of the groups listened to is told (RFC 3810 §9.1, Robustness Variable): 1...8.
    public var listenerReports = 2

    /// The defaults.
    public init() {}

    /// The same with every number in its range.
    var normalized: EthernetConfiguration {
        var result = self
        result.neighbors = min(max(neighbors, 1), 4096)
        result.resolvingNeighbors = min(max(resolvingNeighbors, 1), 1024)
        result.waitingPackets = min(max(waitingPackets, 1), 64)
        result.waitingReplies = min(max(waitingReplies, 16), 4096)
        result.solicitations = min(max(solicitations, 1), 16)
        result.solicitationInterval = max(solicitationInterval, .seconds(1))
        result.reachableTime = min(max(reachableTime, .seconds(1)), .seconds(3600))
        result.delayBeforeProbe = max(delayBeforeProbe, .milliseconds(1))
        result.conflictProbes = min(max(conflictProbes, 0), 16)
        result.conflictProbeMaximum = max(conflictProbeMinimum, conflictProbeMaximum)
        result.announcements = min(max(announcements, 1), 16)
        result.duplicateAddressProbes = min(max(duplicateAddressProbes, 0), 16)
        result.initialDelay = min(max(initialDelay, .zero), .seconds(10))
        result.identifierRetries = min(max(identifierRetries, 0), 16)
        result.routerSolicitations = min(max(routerSolicitations, 0), 16)
        result.routers = min(max(routers, 1), 64)
        result.prefixes = min(max(prefixes, 1), 256)
        result.autoconfiguredAddresses = min(max(autoconfiguredAddresses, 0), 256)
        result.redirects = min(max(redirects, 0), 256)
        result.listenerReports = min(max(listenerReports, 1), 8)
        return result
    }
}
