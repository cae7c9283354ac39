// permissions.js -- which application permissions a call of Graph needs (least ones of the fact
// sheet, and the greater ones that hold them). Each line: all of these, each by any of its kind.
'use strict';

const READ = ['User.Read.All', 'User.ReadWrite.All', 'Directory.Read.All', 'Directory.ReadWrite.All'];
const ROLES = [
  'RoleManagement.Read.Directory',
  'RoleManagement.ReadWrite.Directory',
  'Directory.Read.All',
  'Directory.ReadWrite.All',
];
const GROUPS = ['GroupMember.Read.All', 'Group.Read.All', 'Directory.Read.All', 'Directory.ReadWrite.All'];
const RISK = ['IdentityRiskyUser.Read.All', 'IdentityRiskyUser.ReadWrite.All'];
const SYNC = ['Synchronization.Read.All', 'Synchronization.ReadWrite.All', 'Application.ReadWrite.OwnedBy'];
const SYNC_WRITE = ['Synchronization.ReadWrite.All', 'Application.ReadWrite.OwnedBy'];
const MDI = ['SecurityIdentitiesAccount.Read.All'];
const DELEGATED_ONLY = ['(no application permission exists)'];

const NEEDS = {
  listUsers: [READ],
  getUser: [READ],
  getUserByKey: [READ],
  updateUser: [], // by property: users.js
  updateUserByKey: [],
  revokeSignInSessions: [['User.RevokeSessions.All', 'User.ReadWrite.All', 'Directory.ReadWrite.All']],
  invalidateAllRefreshTokens: [['User.RevokeSessions.All', 'User.ReadWrite.All', 'Directory.ReadWrite.All']],
  transitiveMemberOf: [READ],
  transitiveDirectoryRoles: [
    ['Directory.Read.All', 'Directory.ReadWrite.All', 'RoleManagement.Read.Directory'],
  ],
  transitiveGroups: [GROUPS],
  listGroups: [GROUPS],
  listGroupOwners: [GROUPS],
  administrativeUnits: [
    [
      'AdministrativeUnit.Read.All',
      'AdministrativeUnit.ReadWrite.All',
      'Directory.Read.All',
      'Directory.ReadWrite.All',
    ],
  ],
  onPremisesSyncBehavior: [['User-OnPremisesSyncBehavior.ReadWrite.All']],
  resetPassword: [DELEGATED_ONLY],
  getOperation: [DELEGATED_ONLY],
  roleAssignments: [ROLES],
  transitiveRoleAssignments: [ROLES],
  roleDefinitions: [ROLES],
  roleEligibility: [
    [
      'RoleEligibilitySchedule.Read.Directory',
      'RoleManagement.Read.Directory',
      'RoleManagement.ReadWrite.Directory',
    ],
  ],
  listRiskyUsers: [RISK],
  getRiskyUser: [RISK],
  riskyUsers_confirmCompromised: [['IdentityRiskyUser.ReadWrite.All']],
  riskyUsers_dismiss: [['IdentityRiskyUser.ReadWrite.All']],
  listRiskDetections: [['IdentityRiskEvent.Read.All', 'IdentityRiskEvent.ReadWrite.All']],
  listIdentityAccounts: [MDI],
  getIdentityAccount: [MDI],
  invokeAction: [['SecurityIdentitiesActions.ReadWrite.All']],
  runHuntingQuery: [['ThreatHunting.Read.All']],
  listServicePrincipals: [['Application.Read.All', 'Application.ReadWrite.All', 'Directory.Read.All']],
  listJobs: [SYNC],
  getJob: [SYNC],
  getSchema: [SYNC],
  provisionOnDemand: [SYNC_WRITE],
  startJob: [SYNC_WRITE],
  restartJob: [SYNC_WRITE],
  listDirectoryAudits: [['AuditLog.Read.All']],
  listOrganization: [
    ['Organization.Read.All', 'Directory.Read.All', 'Directory.ReadWrite.All', 'User.Read.All'],
  ],
  batch: [],
};
const WRITE_ENABLED = [
  ['User.EnableDisableAccount.All', 'User.ReadWrite.All', 'Directory.ReadWrite.All'],
  READ,
];
const WRITE_PASSWORD = [['User-PasswordProfile.ReadWrite.All']];

const allowed = (roles, needs) => needs.every((any) => any.some((r) => roles.includes(r)));

module.exports = { NEEDS, WRITE_ENABLED, WRITE_PASSWORD, allowed };
