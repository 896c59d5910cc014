public import TCPWire

/// How far an address of a link is (RFC 4862 §2, RFC 5227 §2.1).
public enum LinkAddressState: UInt8, Sendable {
    /// Whether it has another owner is being found out: it is not used.
    case tentative
    /// It is used.
    case preferred
    /// It is used by what used it before, until it ends (RFC 4862 §5.5.4).
    case deprecated
    /// It has another owner: it is not used.
    case duplicated
}

/// Where an address of a link comes from.
public enum LinkAddressOrigin: UInt8, Sendable {
    /// The program gave it.
    case manual
    /// The link made it: every interface with IPv6 has one.
    case linkLocal
    /// The link made it of a router's prefix.
    case autoconfigured
}

/// An address as its link keeps it.
struct LinkAddress {
    /// What is next for it.
    enum Phase: UInt8 {
        /// Probes, until it may be used.
        case probing
        /// Announcements.
        case announcing
        /// Nothing.
        case settled
    }

    var prefix: AddressPrefix
    var state = LinkAddressState.tentative
    var origin: LinkAddressOrigin
    var phase = Phase.probing
    /// Probes or announcements still to be sent.
    var remaining: Int
    /// When the next step is due.
    var nextAt: Instant
    var preferredUntil = Instant.distantFuture
    var validUntil = Instant.distantFuture
    /// RFC 7217's DAD_Counter.
    var duplicates: UInt8 = 0
    /// Whether the groups it needs were joined.
    var isJoined = false
    /// When another last claimed it.
    var conflictAt: Instant?
    /// What this host's own solicitations for it are told by (RFC 7527 §4.1): 48 bits.
    var nonce: UInt64 = 0

    /// Whether the stack has it.
    var isAssigned: Bool { state == .preferred || state == .deprecated }

    /// When something is next to be done about it.
    var dueAt: Instant {
        let end = min(nextAt, validUntil)
        return state == .preferred ? min(end, preferredUntil) : end
    }

    static var cost: Int { MemoryLayout<LinkAddress>.stride }
}

/// A default router (RFC 4861 §5.1).
struct Router {
    var address: IPAddress
    var validUntil: Instant
    /// 1, 0 or -1 (RFC 4191 §2.1).
    var preference: Int8
    /// It did not answer: others are taken while there are some (RFC 4861 §6.3.6).
    var isSuspect = false

    static var cost: Int { MemoryLayout<Router>.stride }
}

/// A prefix that a router says is on the link.
struct OnLinkPrefix {
    var prefix: AddressPrefix
    var validUntil: Instant

    static var cost: Int { MemoryLayout<OnLinkPrefix>.stride }
}

/// A destination with another first hop than its route has (RFC 4861 §8.3).
struct Redirection {
    var destination: IPAddress
    var nextHop: IPAddress

    static var cost: Int { MemoryLayout<Redirection>.stride }
}

// MARK: For tools

/// A neighbor, for tools that list them.
public struct NeighborStatus: Sendable, Hashable {
    /// Its IP address.
    public var address: IPAddress
    /// Its Ethernet address; `nil` while it is asked for.
    public var hardware: MACAddress?
    /// What is known of its reachability.
    public var state: NeighborState
    /// Whether it said that it is a router.
    public var isRouter: Bool
    /// Packets that wait for its address.
    public var waitingPackets: Int
}

/// An address of a link, for tools that list them.
public struct LinkAddressStatus: Sendable, Hashable {
    /// The address, with the length of the prefix it was made with.
    public var prefix: AddressPrefix
    /// How far it is.
    public var state: LinkAddressState
    /// Where it comes from.
    public var origin: LinkAddressOrigin
    /// Until when it is preferred; the far future is for ever.
    public var preferredUntil: Instant
    /// Until when it is valid; the far future is for ever.
    public var validUntil: Instant
}

/// A default router of a link, for tools that list them.
public struct RouterStatus: Sendable, Hashable {
    /// Its link-local address.
    public var address: IPAddress
    /// Until when it is a default router; the far future is for ever.
    public var validUntil: Instant
    /// 1, 0 or -1: how much it wants to be taken (RFC 4191 §2.1).
    public var preference: Int
    /// Whether packets off the link go to it.
    public var isInUse: Bool
}
