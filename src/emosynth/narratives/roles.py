"""Word lists for :mod:`emosynth.narratives.characters`, compiled for this project."""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


PEOPLE = _set(
    """
    man woman boy girl child lad lass maiden maid youth fellow lady gentleman stranger friend companion comrade neighbour neighbor enemy
    lover sweetheart beloved betrothed bridegroom groom bride wife husband widow widower orphan twin
    father mother son daughter brother sister uncle aunt cousin nephew niece grandfather grandmother grandson granddaughter grandpa grandma
    granny godfather godmother stepmother stepfather stepsister stepdaughter stepson step-mother step-father step-sister step-daughter step-son
    papa mamma mama dad daddy mum mummy auntie father-in-law mother-in-law sister-in-law brother-in-law foster-father foster-mother
    king queen prince princess emperor empress duke duchess count countess baron baroness earl lord knight squire nobleman noblewoman courtier
    chancellor minister ambassador herald chamberlain steward regent sultan vizier page-boy hero heroine
    general colonel major captain lieutenant sergeant corporal soldier officer sailor seaman boatswain mate pirate admiral sentry sentinel
    watchman huntsman hunter robber thief burglar murderer villain outlaw prisoner convict traitor spy rogue rascal scoundrel executioner
    miller baker butcher tailor shoemaker cobbler blacksmith smith goldsmith carpenter weaver potter mason woodcutter wood-cutter woodman
    farmer peasant countryman countrywoman shepherd shepherdess goatherd goat-herd swineherd herdsman goose-girl gardener fisherman ferryman
    boatman fiddler minstrel musician singer actor actress dancer drummer artist painter sculptor poet author writer editor journalist reporter
    merchant trader shopkeeper pedlar peddler innkeeper landlord landlady host hostess cook kitchen-maid kitchen-boy scullion butler
    footman coachman cabman waggoner groomsman porter valet servant servant-girl manservant maidservant maid-servant serving-man serving-maid
    waiting-maid waiting-woman lady-in-waiting chambermaid housemaid housekeeper governess nurse nursemaid charwoman washerwoman apprentice
    journeyman labourer workman foreman waiter waitress messenger postman policeman constable detective inspector sheriff clerk secretary lawyer
    attorney barrister judge magistrate mayor provost burgomaster president senator governor ambassadress councillor alderman
    doctor physician surgeon apothecary chemist psychologist scientist professor schoolmaster schoolmistress teacher tutor student scholar pupil
    schoolboy schoolgirl philosopher astronomer astrologer engineer inventor traveller traveler wanderer pilgrim explorer
    priest parson vicar curate clergyman minister preacher pastor bishop archbishop cardinal pope monk friar nun abbot abbess hermit sexton
    missionary beggar beggar-woman beggar-man tramp gypsy gipsy fortune-teller fool simpleton jester clown dunce miser lunatic madman cripple
    master mistress guest visitor suitor heir heiress guardian guide partner colleague passenger customer patient captive slave negro dwarf
    giant giantess witch wizard magician sorcerer sorceress enchantress enchanter ogre ogress old-man bachelor spinster matron dame sir madam
    ma'am monsieur madame mademoiselle newcomer bystander speaker storekeeper grocer banker broker capitalist cripple invalid oldster youngster
    """
)
"""People, and beings of tales that are people in all but size or power."""

CREATURES = _set(
    """
    wolf fox bear lion lioness tiger leopard elephant monkey ape cat kitten tom-cat dog hound puppy horse foal donkey ass mule ox cow bull calf
    pig sow hog boar goat kid sheep lamb ram deer stag roe fawn doe hare rabbit squirrel hedgehog badger mole mouse rat weasel otter beaver
    frog toad snake serpent lizard tortoise turtle crocodile alligator fish flounder pike salmon whale crab lobster snail bird birdie sparrow
    finch lark swallow nightingale thrush robin wren raven crow magpie jackdaw owl eagle hawk falcon dove pigeon stork crane heron swan goose
    gander duck duckling drake hen cock rooster chicken turkey peacock parrot cuckoo bee wasp ant fly spider butterfly caterpillar cricket
    grasshopper beetle dragon unicorn phoenix gryphon griffin monster beast animal creature
    fairy elf goblin gnome troll imp kobold nixie nix mermaid merman nymph sprite spirit ghost phantom spectre angel devil demon fiend
    skeleton mannikin manikin hobgoblin genie vampire scarecrow snowman doll puppet
    """
)
"""Animals and beings that count as characters only in stories in which they speak."""

TITLES = _set(
    """
    mr mrs ms miss dr doctor sir lady lord master mistress madam madame monsieur mademoiselle professor captain colonel major general admiral
    lieutenant sergeant corporal king queen prince princess duke duchess count countess baron baroness emperor empress earl squire dame saint st
    aunt auntie uncle cousin father mother brother sister granny grandfather grandmother grandma grandpa reverend rev judge inspector
    constable governor president bishop widow farmer goodman goodwife frau herr fräulein fraulein señor senor señora signor signora don dona
    """
)
"""Words that make the capitalised words after them a person's name."""

FEMALE = _set(
    """
    mrs ms miss lady mistress madam madame mademoiselle queen princess duchess countess baroness empress dame aunt auntie mother sister granny
    grandmother grandma goodwife frau fräulein fraulein señora signora dona
    """
)
"""Titles of women: Mr and Mrs Shelby are two."""

BARE_TITLES = _set("mr mrs ms miss dr sir master st saint rev reverend frau herr don madam ma'am")
"""Titles that name no one alone."""

MODIFIERS = _set("old young little poor dear big clever faithful good great lazy lucky lovely blind black white red sly stout")
"""Adjectives that are part of a name when they are capitalised with it (*Clever Hans*), and no name alone."""

NOT_NAMES = _set(
    """
    i o oh ah alas hush hullo hello halloa hallo hurrah hooray bravo pooh pshaw bah humph hum ha ho hi hey heigh lo amen ay aye nay yea yes no
    well why what now then there here ok okay goodness gracious mercy heavens heaven hell providence god gods lord almighty jesus christ saviour
    creator virgin madonna satan nature fate fortune death time fame farewell goodbye good-bye good-night good-day thanks please
    monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september october november december
    christmas easter lent whitsuntide michaelmas new-year eve day night morning evening spring summer autumn winter
    bible testament gospel scripture church catholic protestant methodist presbyterian puritan christian jew jewish pagan muslim
    english englishman french german italian spanish spaniard russian turkish dutch greek roman latin american indian african chinese egyptian
    hebrew irish scotch scottish welsh british european
    england scotland ireland wales britain france germany italy spain russia turkey holland greece rome egypt india china japan africa asia europe
    america canada australia austria switzerland denmark sweden norway poland prussia bohemia saxony hungary portugal belgium palestine
    london paris berlin vienna venice florence naples dresden frankfurt frankfort copenhagen stockholm madrid lisbon moscow petersburg
    constantinople jerusalem athens edinburgh glasgow dublin oxford cambridge bristol liverpool manchester portsmouth plymouth kent surrey sussex
    york boston brooklyn manhattan philadelphia chicago washington toronto montreal ottawa halifax avignon brest rouen brittany normandy
    kensington westminster whitehall piccadilly richmond wimbledon battersea bloomsbury thames rhine danube seine nile atlantic pacific
    mediterranean alps broadway carolina virginia california texas pennsylvania kansas jersey transylvania canaan mexico cuba peru brazil chili chile
    street avenue square road lane river lake mount mountain hill sea ocean island bay cape park bridge castle house hall court college school
    university company club society act scene chapter book volume part preface introduction note letter poem song earth moon
    sun mars venus jupiter saturn north south east west number north-west south-east state states union government parliament
    congress court army navy majesty majesties highness excellency honour worship grace lordship ladyship
    """
)
"""Capitalised words that are no characters: exclamations, God and fate, days and months, peoples, places, institutions, forms of address."""

SPEECH = _set(
    """
    said says say saith cried cries asked asks answered answers replied replies thought thinks called exclaimed whispered murmured muttered
    shouted screamed spoke speaks growled began continued added returned remarked observed inquired enquired told tells declared sobbed sighed
    begged ordered responded interrupted repeated demanded groaned roared explained suggested protested announced agreed admitted commanded
    laughed queried retorted rejoined quoth sang croaked squeaked
    """
)
"""Verbs that a speaker stands beside."""

GENERIC = _set("no any every each such what which neither either never without")
"""Words before a role that speak of nobody in particular."""

DETERMINERS = _set("the a an this that his her my thy your our their its thine mine")

PLAIN = _set(
    """
    other same such own first second third next last only whole many more most another certain several few very mere former latter dear
    said real true usual sure right one two three four five six seven single dead o oh ah alas thy thee thou
    """
)
"""Modifiers that describe no one."""
