/// Why a frame, or a part of what it said, was not taken. Each is a counter of the link.
public enum EthernetFault: UInt8, Error, Sendable, CaseIterable {
    /// Fewer octets than its headers need.
    case truncated
    /// A source that is a group's address, or zero.
    case badSource
    /// An IEEE 802.3 frame, with a length where Ethernet II has the type.
    case lengthField
    /// A frame of a VLAN.
    case vlanTag
    /// A type that is neither IPv4, ARP nor IPv6.
    case unknownType
    /// To another interface.
    case otherDestination
    /// To a group that was not joined.
    case groupNotJoined
    /// A packet of another IP version than the frame's type says.
    case versionMismatch
    /// A packet for one host in a frame to many (RFC 1122 §3.3.6).
    case linkBroadcast
    /// ARP for another hardware or protocol than Ethernet and IPv4, or neither a request nor a reply.
    case badARP
    /// ARP from a sender that no host can be.
    case arpSender
    /// Neighbor discovery with another hop limit than 255: it comes from off the link.
    case discoveryHopLimit
    /// Neighbor discovery in a fragment (RFC 6980 §5).
    case discoveryFragment
    /// Neighbor discovery with a wrong checksum.
    case discoveryChecksum
    /// Neighbor discovery too short, or with a code other than zero.
    case discoveryFormat
    /// An option of neighbor discovery without a length, past the end, or with an impossible address.
    case discoveryOption
    /// A source or destination that the message may not have.
    case discoveryAddress
    /// A target that the message may not have.
    case discoveryTarget
    /// An advertisement of a neighbor nobody asks for.
    case unknownNeighbor
    /// A router's message that this host was told not to heed, or that is for routers.
    case routerMessage
    /// A redirect from another than the first hop, or more of them than are kept.
    case redirectRefused
    /// More routers than are kept.
    case tooManyRouters
    /// More prefixes than are kept.
    case tooManyPrefixes
    /// More addresses than are kept.
    case tooManyAddresses
    /// A prefix that no address can be made of, or whose lifetimes contradict each other (RFC 4862 §5.5.3).
    case prefixRefused
    /// A multicast listener query that is malformed (RFC 3810 §5.1).
    case badListenerQuery
    /// A neighbor that was not noted: the table holds none that may give way, or the budget has no room.
    case noMemory
    /// A reply that was not sent because too many waited already.
    case replyDropped

    /// A few words for a person.
    public var explanation: String {
        switch self {
        case .truncated: "shorter than its headers"
        case .badSource: "a source that is no interface"
        case .lengthField: "an IEEE 802.3 frame"
        case .vlanTag: "a frame of a VLAN"
        case .unknownType: "neither IPv4, ARP nor IPv6"
        case .otherDestination: "to another interface"
        case .groupNotJoined: "to a group that was not joined"
        case .versionMismatch: "an IP version other than the frame's type"
        case .linkBroadcast: "for one host, in a frame to many"
        case .badARP: "malformed ARP"
        case .arpSender: "ARP from an impossible sender"
        case .discoveryHopLimit: "neighbor discovery from off the link"
        case .discoveryFragment: "neighbor discovery in a fragment"
        case .discoveryChecksum: "neighbor discovery with a wrong checksum"
        case .discoveryFormat: "malformed neighbor discovery"
        case .discoveryOption: "neighbor discovery with an impossible option"
        case .discoveryAddress: "neighbor discovery between addresses it may not have"
        case .discoveryTarget: "neighbor discovery with an impossible target"
        case .unknownNeighbor: "an advertisement nobody asked for"
        case .routerMessage: "a router's message that is not heeded"
        case .redirectRefused: "a redirect that is not obeyed"
        case .tooManyRouters: "too many routers"
        case .tooManyPrefixes: "too many prefixes"
        case .tooManyAddresses: "too many addresses"
        case .prefixRefused: "a prefix no address can be made of"
        case .badListenerQuery: "a malformed multicast query"
        case .noMemory: "no room for a neighbor"
        case .replyDropped: "too many replies wait"
        }
    }
}
